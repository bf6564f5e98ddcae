"""From strings to padded batches of token ids, the same in training and in serving."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, InvalidModel

if TYPE_CHECKING:
    from tokenizers import Encoding

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextPreprocessing:
    """How a text becomes a network's input: tokens past `max_length` are cut off."""

    max_length: int

    def to_json(self) -> dict[str, object]:
        """Return the fields as plain values."""
        return asdict(self)


class TextEncoder:
    """Tokenises texts with the tokenizer that a model's file carries."""

    def __init__(self, tokenizer_json: str, preprocessing: TextPreprocessing) -> None:
        from tokenizers import Tokenizer  # a web process that never predicts need not load it

        with _panics_as_errors():
            tokenizer = Tokenizer.from_str(tokenizer_json)
            # The file's own settings may pad everything to one length; here each batch has its own.
            tokenizer.no_padding()
            tokenizer.enable_truncation(preprocessing.max_length)
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text. Raises `InvalidInput`."""
        check_texts(texts)
        with _panics_as_errors():
            return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

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
