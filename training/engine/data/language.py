"""Which language the texts of a data set are in: py3langid on a sample, offline.

The packaged encoder was pretrained on English, and nothing else tells a person why another language is
learnt from n-grams. Each text votes, so that some in another language do not matter, and all together have to agree:
short texts one by one are easily taken for a language that is akin.
"""

import lzma
import shutil
import struct
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

MOST = 300  # texts that are looked at: the first ones of as many stretches of the data
CHARACTERS = 300  # of each
LEAST_CHARACTERS = 8
LEAST_TEXTS = 12  # that are long enough to judge: a few short ones look like many languages
MAJORITY = 0.5  # of the votes
UNPACKED_AT_ONCE = 1 << 20  # bytes
ZIP_HEADER = 30  # bytes before the name of a file in a zip; section 4.3.7 of PKWARE's APPNOTE
KNOWN_TO_ENCODER = "en"
NAMES = {
    "af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "az": "Azerbaijani", "be": "Belarusian",
    "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh",
    "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "hy": "Armenian",
    "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "jv": "Javanese",
    "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "lo": "Lao",
    "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian",
    "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "ne": "Nepali", "nl": "Dutch",
    "no": "Norwegian", "nb": "Norwegian", "nn": "Norwegian", "pa": "Punjabi", "pl": "Polish",
    "ps": "Pashto", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala", "sk": "Slovak",
    "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil",
    "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True)
class Language:
    """A language by its ISO 639 code, its name in English, and the share of the texts that are in it (0…1)."""

    code: str
    name: str
    share: float


class _Identifier(Protocol):
    def classify(self, text: str) -> tuple[str, float]:
        """Return a code and how sure that is."""


class LanguageSample:
    """A sample of a stream of texts: every one at first, every second when it is full, and so on."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._step, self._seen = 1, 0

    def add(self, text: str) -> None:
        """Keep the beginning of a text if it is its turn."""
        if self._seen % self._step == 0:
            self._kept.append(text[:CHARACTERS])
            if len(self._kept) == 2 * MOST:
                self._kept, self._step = self._kept[::2], 2 * self._step
        self._seen += 1

    def language(self) -> Language | None:
        """Return the language of most texts; None when there is none."""
        stride = max(1, len(self._kept) // MOST)
        texts = [text for text in islice(self._kept, 0, None, stride) if len(text) >= LEAST_CHARACTERS]
        if len(texts) < LEAST_TEXTS:
            return None
        votes = Counter(load_identifier().classify(text)[0] for text in texts)
        code, count = votes.most_common(1)[0]
        share = count / len(texts)
        if share <= MAJORITY or load_identifier().classify(" ".join(texts))[0] != code:
            return None
        return Language(code, NAMES.get(code, code), round(share, 3))


def describe_unknown(language: Language) -> str:
    """Return what to say where the packaged encoder does not know the language; "" where it does."""
    if language.code == KNOWN_TO_ENCODER:
        return ""
    return (
        f"The texts seem to be {language.name}. The packaged network MiniLM knows English only, so the model learns "
        "from words and parts of words as well and takes whichever is better; a multilingual network may do better "
        "still."
    )


@cache
def load_identifier() -> _Identifier:
    """Return what names the language of a text; the first call takes a second, and 70 MB of the temporary folder.

    The model stays in a file there, of which few pages are looked at: in memory it would take 80 MB of each process.
    """
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    with tempfile.TemporaryFile() as file:
        with lzma.open(MODEL_DIR / MODEL_FILE) as packed:
            shutil.copyfileobj(packed, file, UNPACKED_AT_ONCE)
        model = _map_arrays(file)
    found: _Identifier = LanguageIdentifier(
        model["ptc"],
        model["pc"],
        model["classes"].tolist(),
        model["nextmove"].data,
        model["out_feat"].tolist(),
        tk_row=model["nextmove_row"].tolist(),
    )
    return found


def _map_arrays(file: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of what `numpy.savez` has written, which stay in the file until they are looked at."""
    found: dict[str, npt.NDArray[Any]] = {}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            file.seek(member.header_offset + ZIP_HEADER - 4)
            file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
            np.lib.format.read_magic(file)
            shape, _, kind = np.lib.format.read_array_header_1_0(file)
            mapped = np.memmap(file, kind, "r", file.tell(), shape)
            found[member.filename.removesuffix(".npy")] = np.asarray(mapped)
    return found
