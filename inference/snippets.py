"""Programs to copy from a model's page: each runs as it stands, with the model's own address and file in it."""

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
    answer = requests.post("{address}", files={{"file": photo}})
answer.raise_for_status()
best = answer.json()["predictions"][0]
print(best["label"], best["probability"])"""

PYTHON_TEXT = """\
import requests

texts = ["I am still waiting for my card"]
answer = requests.post("{address}", json={{"texts": texts}})
answer.raise_for_status()
best = answer.json()["predictions"][0]
print(best["label"], best["probability"])"""

ONNX_IMAGE = """\
# pip install numpy onnxruntime pillow
import json, sys
import numpy as np, onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("{file}")
about = json.loads(session.get_modelmeta().custom_metadata_map["trainyard"])
how = about["preprocessing"]

def pixels(path):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
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
# pip install numpy onnxruntime tokenizers
import json, sys
import numpy as np, onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession("{file}")
facts = session.get_modelmeta().custom_metadata_map
about = json.loads(facts["trainyard"])
tokenizer = Tokenizer.from_str(facts["tokenizer.json"])
tokenizer.enable_padding()
tokenizer.enable_truncation(about["preprocessing"]["max_length"])

texts = sys.argv[1:] or ["I am still waiting for my card"]
encoded = tokenizer.encode_batch(texts)
feeds = {{
    "input_ids": np.array([text.ids for text in encoded], np.int64),
    "attention_mask": np.array([text.attention_mask for text in encoded], np.int64),
}}
for text, row in zip(texts, session.run(["probabilities"], feeds)[0]):
    print(text, about["classes"][row.argmax()], row.max())"""


@dataclass(frozen=True)
class Snippet:
    """A program; `key` is a word for addresses and ids."""

    key: str
    label: str
    code: str


def snippets_for(*, is_image: bool, address: str, file: str) -> list[Snippet]:
    """Return the programs for a model that predicts at `address`; `file` is its .onnx, "" when it has none to give."""
    found = [
        Snippet("curl", "curl", (CURL_IMAGE if is_image else CURL_TEXT).format(address=address)),
        Snippet("python", "Python", (PYTHON_IMAGE if is_image else PYTHON_TEXT).format(address=address)),
    ]
    if file:
        code = (ONNX_IMAGE if is_image else ONNX_TEXT).format(file=file)
        found.append(Snippet("onnx", "ONNX Runtime alone", code))
    return found
