"""Programs to copy from a model's page: each runs as it stands, with the model's own address and file in it.

Photos are decoded as the platform decodes them (`models_registry/artifacts/decoding.py`, `colours.py`), in few lines.
"""

import json
import shlex
from dataclasses import dataclass

CURL_IMAGE = """\
curl -F file=@photo.jpg \\
  {address}"""

CURL_TEXT = """\
curl -H "Content-Type: application/json" \\
  -d '{{"texts": ["I am still waiting for my card"]}}' \\
  {address}"""

PYTHON_IMAGE = """\
import requests

with open("photo.jpg", "rb") as photo:
    answer = requests.post({address}, files={{"file": photo}})
answer.raise_for_status()
best = answer.json()["predictions"][0]
print(best["label"], best["probability"])"""

PYTHON_TEXT = """\
import requests

texts = ["I am still waiting for my card"]
answer = requests.post({address}, json={{"texts": texts}})
answer.raise_for_status()
best = answer.json()["predictions"][0]
print(best["label"], best["probability"])"""

ONNX_IMAGE = """\
# pip install numpy onnxruntime pillow, and for photos of iPhones (HEIC): pi-heif
import json, sys
import numpy as np, onnxruntime
from PIL import Image, ImageOps, PngImagePlugin
try:
    import pi_heif; pi_heif.register_heif_opener()
except ImportError: pass

session = onnxruntime.InferenceSession({file})
about = json.loads(session.get_modelmeta().custom_metadata_map["trainyard"])
how = about["preprocessing"]
Image.MAX_IMAGE_PIXELS = PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 28

def rgb(image):
    if image.mode[0] in "IF":  # grey of more than 8 bits, of which the brightest pixel says how many are used
        grey = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        grey -= min(grey.min(), 0)
        span = next((2**bits - 1 for bits in how.get("depths", [8, 16]) if grey.max() < 2**bits), grey.max())
        return Image.fromarray((grey * 255 / span).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")

def pixels(path):
    image = Image.open(path)
    shrink = next(n for n in (1, 2, 4, 8) if image.width * image.height <= 50_000_000 * n**2)
    image.draft(None, (image.width // shrink, image.height // shrink))  # of large JPEGs
    image = rgb(ImageOps.exif_transpose(image))
    side = min(image.size) * how["crop"] / how["resize"]
    left, top = (image.width - side) / 2, (image.height - side) / 2
    filter = Image.Resampling[how["interpolation"].upper()]
    image = image.resize((how["crop"],) * 2, filter, box=(left, top, left + side, top + side))
    return (np.asarray(image, np.float32) / 255 - how["mean"]) / how["std"]

paths = sys.argv[1:] or ["photo.jpg"]
batch = np.stack([pixels(path) for path in paths]).transpose(0, 3, 1, 2).astype(np.float32)
for path, row in zip(paths, session.run(["probabilities"], {{"image": batch}})[0]):
    print(path, about["classes"][row.argmax()], row.max())"""

ONNX_TEXT = """\
# pip install numpy onnxruntime{packages}
import json, sys{imports}
import numpy as np, onnxruntime{tokenizer_import}

session = onnxruntime.InferenceSession({file})
facts = session.get_modelmeta().custom_metadata_map
about = json.loads(facts["trainyard"])
texts = sys.argv[1:] or ["I am still waiting for my card"]
feeds = {{}}
{inputs}
for text, row in zip(texts, session.run(["probabilities"], feeds)[0]):
    print(text, about["classes"][row.argmax()], row.max())"""

READ_TOKENS = """
tokenizer = Tokenizer.from_str(facts["tokenizer.json"])
tokenizer.enable_padding()
tokenizer.enable_truncation(about["preprocessing"]["max_length"])
encoded = tokenizer.encode_batch(texts)
feeds["input_ids"] = np.array([text.ids for text in encoded], np.int64)
feeds["attention_mask"] = np.array([text.attention_mask for text in encoded], np.int64)
"""

READ_WINDOWS = """
how = about["preprocessing"]
tokenizer = Tokenizer.from_str(facts["tokenizer.json"])
tokenizer.no_padding()
tokenizer.enable_truncation(how["max_length"])

def windows(text):
    first = tokenizer.encode(text)
    found = [first.ids, *(more.ids for more in first.overflowing)]
    if len(found) > how["windows"]:
        found = [found[i] for i in np.linspace(0, len(found) - 2, how["windows"]).round().astype(int)]
    return found

read = [windows(text) for text in texts]
every = [ids for found in read for ids in found]
longest = max(map(len, every))
feeds["input_ids"] = np.array([ids + [0] * (longest - len(ids)) for ids in every], np.int64)
feeds["attention_mask"] = np.array([[1] * len(ids) + [0] * (longest - len(ids)) for ids in every], np.int64)
feeds["window_ids"] = np.zeros((len(texts), max(map(len, read))), np.int64)
feeds["window_weights"] = np.zeros(feeds["window_ids"].shape, np.float32)
start = 0
for row, found in enumerate(read):
    sizes = np.array([len(ids) for ids in found])
    feeds["window_ids"][row, : len(found)] = start + np.arange(len(found))
    feeds["window_weights"][row, : len(found)] = sizes / sizes.sum()
    start += len(found)
"""

READ_NGRAMS = """
known = json.loads(facts["ngrams.json"])
hashes = np.frombuffer(base64.b64decode(known["hashes"]), "<u8").tolist()
places = dict(zip(hashes, range(len(hashes))))
idf = np.frombuffer(base64.b64decode(known["idf"]), "<f4")

def hash64(window):
    value = sum((ord(c) + 1) * pow(0x9E3779B97F4A7C15, i, 2**64) for i, c in enumerate(window)) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31

def ngrams(text):
    text = f" {' '.join(unicodedata.normalize('NFKC', text).casefold().split())} "
    gaps = [i for i, c in enumerate(text) if c == " "]
    found = [text[i : i + n] for n in range(1, known["longest"] + 1) for i in range(len(text) - n + 1)]
    found = [window for window in found if window.strip() and " " not in window[1:-1]]
    found += [text[a : b + 1] for a, b in zip(gaps, gaps[1:]) if b - a >= known["longest"]]
    found += [text[a : b + 1] for a, b in zip(gaps, gaps[2:])]
    counts = Counter(places[h] for h in map(hash64, found) if h in places)
    weights = {i: (1 + np.log(count)) * idf[i] for i, count in counts.items()}
    return weights, np.sqrt(sum(weight**2 for weight in weights.values()))

found = [ngrams(text) for text in texts]
most = max(1, *(len(weights) for weights, _ in found))
feeds["ngram_ids"] = np.zeros((len(texts), most), np.int64)
feeds["ngram_weights"] = np.zeros((len(texts), most), np.float32)
for row, (weights, length) in enumerate(found):
    feeds["ngram_ids"][row, : len(weights)] = list(weights)
    feeds["ngram_weights"][row, : len(weights)] = np.array(list(weights.values())) / length
"""


@dataclass(frozen=True)
class Snippet:
    """A program; `key` is a word for addresses and ids."""

    key: str
    label: str
    code: str


def snippets_for(
    *,
    is_image: bool,
    address: str,
    file: str,
    reads_tokens: bool = True,
    reads_windows: bool = False,
    reads_ngrams: bool = False,
) -> list[Snippet]:
    """Return the programs for a model that predicts at `address`; `file` is its .onnx, "" when it has none to give.

    `reads_tokens`, `reads_windows` (then tokens in several windows) and `reads_ngrams` say what a text model takes in.
    Address and file may hold a token that came from outside, so they are quoted for the language in which they stand.
    """
    curl, python = (CURL_IMAGE, PYTHON_IMAGE) if is_image else (CURL_TEXT, PYTHON_TEXT)
    found = [
        Snippet("curl", "curl", curl.format(address=shlex.quote(address))),
        Snippet("python", "Python", python.format(address=_literal(address))),
    ]
    if file:
        name = _literal(file)
        tokens = (READ_WINDOWS if reads_windows else READ_TOKENS) if reads_tokens else ""
        code = ONNX_IMAGE.format(file=name) if is_image else _onnx_text(name, tokens, reads_ngrams)
        found.append(Snippet("onnx", "ONNX Runtime alone", code))
    return found


def _literal(text: str) -> str:
    """Return a text as Python writes it; JSON's strings are Python's."""
    return json.dumps(text, ensure_ascii=False)


def _onnx_text(file: str, tokens: str, reads_ngrams: bool) -> str:
    """Return a program for a text model's file (quoted), with the parts that read its tokens and n-grams."""
    return ONNX_TEXT.format(
        file=file,
        packages=" tokenizers" if tokens else "",
        imports=", base64, unicodedata\nfrom collections import Counter" if reads_ngrams else "",
        tokenizer_import="\nfrom tokenizers import Tokenizer" if tokens else "",
        inputs=tokens + (READ_NGRAMS if reads_ngrams else ""),
    )
