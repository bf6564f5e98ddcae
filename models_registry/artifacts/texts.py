"""From strings to padded batches of token ids, the same in training and in serving."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, InvalidModel
from .metadata import WINDOW_IDS, WINDOW_WEIGHTS

if TYPE_CHECKING:
    from tokenizers import Encoding

Ids = npt.NDArray[np.int64]
Windows = Sequence[Sequence[int]]  # the token ids of a text, a list for each stretch that a network reads


@dataclass(frozen=True)
class TextPreprocessing:
    """How a text becomes a network's input: tokens past `max_length` are cut off, or are in further windows.

    With `windows` over 1, a text is read in as many windows of `max_length` tokens or fewer, which lie at equal
    distances in longer texts. What the network says of the text is the mean over them, weighed by their tokens.
    """

    max_length: int
    windows: int = 1

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain values; a single window goes without saying."""
        found = asdict(self)
        if self.windows == 1:
            del found["windows"]
        return found


class TextEncoder:
    """Tokenises texts with the tokenizer that a model's file carries."""

    def __init__(self, tokenizer_json: str, preprocessing: TextPreprocessing) -> None:
        from tokenizers import Tokenizer  # a web process that never predicts need not load it

        with _panics_as_errors():
            tokenizer = Tokenizer.from_str(tokenizer_json)
            # The file's own settings may pad everything to one length; here each batch has its own.
            tokenizer.no_padding()
            tokenizer.enable_truncation(preprocessing.max_length)
        if not isinstance(preprocessing.windows, int) or preprocessing.windows < 1:
            raise InvalidModel(f"The model reads {preprocessing.windows!r:.40} windows. Train it again.")
        self._tokenizer = tokenizer
        self.windows = preprocessing.windows

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, or of its beginning. Raises `InvalidInput`."""
        check_texts(texts)
        with _panics_as_errors():
            return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def encode_windows(self, texts: Sequence[str]) -> list[Windows]:
        """Return the token ids of the windows in which each text is read. Raises `InvalidInput`."""
        check_texts(texts)
        with _panics_as_errors():
            found = self._tokenizer.encode_batch_fast(list(texts))
            return [[window.ids for window in self.windows_of(encoding)] for encoding in found]

    def windows_of(self, encoding: "Encoding") -> "list[Encoding]":
        """Return the windows in which a text is read: all that it has, or as many at equal distances.

        The last one, which is shorter than the others, is read only with all others.
        """
        every = [encoding, *encoding.overflowing] if self.windows > 1 else [encoding]
        if len(every) <= self.windows:
            return every
        places = np.linspace(0, len(every) - 2, self.windows).round().astype(int)
        return [every[place] for place in places]

    def count_tokens(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """Return how many tokens each text has, and how many of them are read. Raises `InvalidInput`."""
        check_texts(texts)
        with _panics_as_errors():
            found = self._tokenizer.encode_batch_fast(list(texts))
            return [
                (
                    sum(len(one.ids) for one in [encoding, *encoding.overflowing]),
                    sum(len(one.ids) for one in self.windows_of(encoding)),
                )
                for encoding in found
            ]

    def encode_with_places(self, texts: Sequence[str]) -> "list[Encoding]":
        """Return the tokens of each text with where in it they are. Raises `InvalidInput`."""
        check_texts(texts)
        with _panics_as_errors():
            return list(self._tokenizer.encode_batch(list(texts)))


@contextlib.contextmanager
def _panics_as_errors() -> Iterator[None]:
    """Raise `InvalidModel` for whatever the tokenizers library raises; a panic of its Rust code is no `Exception`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        raise InvalidModel(f"The model's tokenizer cannot be used ({error!r:.200}).") from error


def check_texts(texts: Sequence[str]) -> None:
    """Raise `InvalidInput` for the first text that is empty or no valid Unicode."""
    for number, text in enumerate(texts, start=1):
        check_text(text, number=number)


def check_text(text: str, *, number: int) -> None:
    """Raise `InvalidInput` for a text that has nothing in it or is no valid Unicode."""
    if not text.strip():
        raise InvalidInput(f"Text {number} is empty. Write at least a word.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"Text {number} is not valid Unicode ({error.reason}). Send UTF-8.") from error


def length_batches(lengths: Sequence[int], *, tokens: int) -> Iterator[list[int]]:
    """Yield the indices of batches of alike lengths, each of at most `tokens` tokens with its padding.

    Sorting by length keeps padding, which costs as much as text, to a few per cent.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad(sequences: Sequence[Sequence[int]]) -> dict[str, Ids]:
    """Return `input_ids` and `attention_mask`, both N × (longest length)."""
    longest = max(len(sequence) for sequence in sequences)
    ids = np.zeros((len(sequences), longest), np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def pad_windows(texts: Sequence[Windows]) -> dict[str, npt.NDArray[np.generic]]:
    """Return `input_ids` and `attention_mask` of all windows, (all windows) × (longest length), and which are whose:
    `window_ids`, their numbers, and `window_weights`, their shares of the text, both N × (largest count)."""
    most = max(len(windows) for windows in texts)
    ids, weights = np.zeros((len(texts), most), np.int64), np.zeros((len(texts), most), np.float32)
    start = 0
    for row, windows in enumerate(texts):
        ids[row, : len(windows)] = np.arange(start, start + len(windows))
        weights[row, : len(windows)] = window_shares(windows)
        start += len(windows)
    every = [window for windows in texts for window in windows]
    return {**pad(every), WINDOW_IDS: ids, WINDOW_WEIGHTS: weights}


def window_shares(windows: Windows) -> npt.NDArray[np.float32]:
    """Return the share of a text's tokens that each of its windows has."""
    sizes = np.array([len(window) for window in windows], np.float32)
    shares: npt.NDArray[np.float32] = sizes / max(1, sizes.sum())
    return shares
