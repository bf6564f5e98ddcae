"""Texts that are longer than what an encoder reads at a time: whether to read more of them, and what it never saw.

An encoder reads a text's beginning, or a few windows of it that are spread over the whole, whose features are
averaged. News say what they are about in their first lines, other texts do not; so both are tried where enough texts
are long, and the validation part decides.
"""

from collections.abc import Sequence

import numpy as np

from models_registry.artifacts import TextPreprocessing
from models_registry.artifacts.model_metrics import ReadingMetrics
from models_registry.artifacts.texts import TextEncoder

from ..catalogue import Architecture
from ..events import Progress
from .features import in_chunks

# Each costs as much as the beginning; features that are kept know it by its name alone, so that another number needs
# another `feature_cache.FORMAT` (docs/decisions/017-long-texts.md).
MOST_WINDOWS = 4
SHARE = 0.05  # of the texts that have to be long: fewer cannot change a figure
SAMPLE = 400  # texts by which that is told


def windows_worth_trying(architecture: Architecture, tokenizer: str, texts: Sequence[str]) -> int:
    """Return in how many windows to read texts: several where enough of them are longer than one, else 1."""
    some = texts[:: max(1, len(texts) // SAMPLE)]
    length = architecture.text_preprocessing.max_length
    long = [text for text in some if len(text) > length]  # a token has a character or more
    if not long:
        return 1
    encoder = TextEncoder(tokenizer, TextPreprocessing(length, MOST_WINDOWS))
    longer = sum(len(windows) > 1 for windows in encoder.encode_windows(long))
    return MOST_WINDOWS if longer >= SHARE * len(some) else 1


def measure_reading(
    tokenizer: str, preprocessing: TextPreprocessing, texts: Sequence[str], progress: Progress
) -> ReadingMetrics | None:
    """Return how much of texts is longer than what a network reads of them; None of none. Raises `TrainingStopped`."""
    length = preprocessing.max_length
    counter = TextEncoder(tokenizer, preprocessing)
    longer, seen, whole = 0, 0, 0
    for some in in_chunks([text for text in texts if len(text) > length]):
        progress.check()
        for every, read in counter.count_tokens(some):
            if every > length:
                longer, seen, whole = longer + 1, seen + read, whole + every
    if not longer:
        return None
    unseen = float(np.clip(1 - seen / whole, 0, 1))
    return {
        "tokens": length,
        "windows": preprocessing.windows,
        "texts": len(texts),
        "longer": longer,
        "unseen": round(unseen, 4),
    }
