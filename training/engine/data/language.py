"""Which language the texts of a data set are in: py3langid on a sample, offline.

The packaged encoder was pretrained on English, and nothing else tells a person why another language is
learnt from n-grams. Each text votes, so that some in another language do not matter, and all together have to agree:
short texts one by one are easily taken for a language that is akin.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Protocol

MOST = 300  # texts that are looked at: the first ones of as many stretches of the data
CHARACTERS = 300  # of each
LEAST_CHARACTERS = 8
LEAST_TEXTS = 12  # that are long enough to judge: a few short ones look like many languages
MAJORITY = 0.5  # of the votes
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
    """Return what names the language of a text; the first call takes a second and 100 MB."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    return found
