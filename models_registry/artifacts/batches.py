"""From raw inputs to the batches that a network takes."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .images import ImagePreprocessing
from .metadata import NGRAM_IDS, NGRAM_WEIGHTS
from .ngrams import NgramVocabulary, WeightedNgrams, pad_ngrams
from .texts import TextEncoder, Windows, length_batches, pad, pad_windows

IMAGE_BATCH = 4  # more does not run faster on a CPU and only takes memory
TOKENS_IN_BATCH = 2048
NGRAMS_PER_TOKEN = 16  # that cost as much as a token: they are only looked up and summed
DECODERS = 4

Feeds = dict[str, npt.NDArray[np.generic]]
Raw = bytes | str


class Preprocessor(Protocol):
    """Turns raw inputs into batches that the network takes."""

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield (indices into `inputs`, the network's inputs by name). Raises `InvalidInput`."""


class ImageBatches:
    """Image files to normalised batches named `image`; `decoders` files are decoded at a time."""

    def __init__(
        self, preprocessing: ImagePreprocessing, max_pixels: int, *, decoders: int = DECODERS
    ) -> None:
        self._preprocessing = preprocessing
        self._decoders = decoders
        self._max_pixels = max_pixels

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield batches in the order of the inputs."""
        files = [content for content in inputs if isinstance(content, bytes)]
        if len(files) < len(inputs):
            number = next(
                number for number, content in enumerate(inputs, 1) if not isinstance(content, bytes)
            )
            raise InvalidInput(f"Input {number} is a text; this model classifies images. Send an image file.")
        if len(files) == 1:
            yield [0], {"image": self._preprocessing.normalise([self._pixels(files[0])])}
            return
        with contextlib.ExitStack() as stack:
            decode_all: Any = map
            if self._decoders > 1:
                decode_all = stack.enter_context(ThreadPoolExecutor(self._decoders)).map
            for start in range(0, len(files), IMAGE_BATCH):
                numbered = list(enumerate(files[start : start + IMAGE_BATCH], start=start + 1))
                images = list(decode_all(self._decode, numbered))
                yield [number - 1 for number, _ in numbered], {"image": self._preprocessing.normalise(images)}

    def _decode(self, numbered: tuple[int, bytes]) -> npt.NDArray[np.uint8]:
        number, content = numbered
        try:
            return self._pixels(content)
        except InvalidInput as error:
            raise InvalidInput(f"Image {number}: {error}") from error

    def _pixels(self, content: bytes) -> npt.NDArray[np.uint8]:
        return self._preprocessing.pixels(content, max_pixels=self._max_pixels)


@dataclass(frozen=True)
class EncodedText:
    """A text as a network takes it: the ids of its tokens and its n-grams, None for what the network does not read.

    A network that reads texts in windows takes these in the place of `tokens`.
    """

    tokens: Sequence[int] | None
    ngrams: WeightedNgrams | None
    windows: Windows | None = None

    @property
    def size(self) -> int:
        """Return what the text costs, in tokens."""
        tokens = len(self.tokens or ()) + sum(map(len, self.windows or ()))
        return max(tokens, len(self.ngrams.ids) // NGRAMS_PER_TOKEN if self.ngrams else 0, 1)


@dataclass(frozen=True)
class TextInputs:
    """What a model reads of texts: tokens of an encoder, n-grams, or both."""

    encoder: TextEncoder | None
    vocabulary: NgramVocabulary | None

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Return what the network takes of each text. Raises `InvalidInput`."""
        nothing: list[None] = [None] * len(texts)
        tokens = nothing if self.encoder is None else self.encoder.encode_windows(texts)
        return self.with_ngrams(tokens, texts)

    def with_ngrams(self, tokens: Sequence[Windows | None], texts: Sequence[str]) -> list[EncodedText]:
        """Return texts whose tokens are known, those of each window. Raises `InvalidInput`."""
        nothing: list[None] = [None] * len(texts)
        ngrams = nothing if self.vocabulary is None else self.vocabulary.encode(texts)
        pairs = zip(tokens, ngrams, strict=True)
        if self.encoder is not None and self.encoder.windows > 1:
            return [EncodedText(None, known, windows) for windows, known in pairs]
        return [EncodedText(windows[0] if windows else None, known) for windows, known in pairs]


class TextBatches:
    """Texts to padded batches."""

    def __init__(self, inputs: TextInputs) -> None:
        self._inputs = inputs

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield batches of texts of alike lengths."""
        texts = [given for given in inputs if isinstance(given, str)]
        if len(texts) < len(inputs):
            raise InvalidInput("This model classifies texts. Send strings, no files.")
        yield from padded_batches(self._inputs.encode(texts))


def padded_batches(encoded: Sequence[EncodedText]) -> Iterator[tuple[list[int], Feeds]]:
    """Yield (indices into `encoded`, the network's inputs by name), texts of alike lengths together.

    The inputs are `input_ids` and `attention_mask`, N × tokens, `ngram_ids` and `ngram_weights`,
    N × n-grams, as far as the texts have them. Of windows the former have a row each, and `window_ids` and
    `window_weights`, N × windows, say whose they are.
    """
    for indices in length_batches([text.size for text in encoded], tokens=TOKENS_IN_BATCH):
        yield indices, text_feeds([encoded[index] for index in indices])


def text_feeds(encoded: Sequence[EncodedText]) -> Feeds:
    """Return the network's inputs for a batch of texts, padded."""
    feeds: Feeds = {}
    tokens = [text.tokens for text in encoded if text.tokens is not None]
    if tokens:
        feeds |= pad(tokens)
    windows = [text.windows for text in encoded if text.windows is not None]
    if windows:
        feeds |= pad_windows(windows)
    ngrams = [text.ngrams for text in encoded if text.ngrams is not None]
    if ngrams:
        feeds[NGRAM_IDS], feeds[NGRAM_WEIGHTS] = pad_ngrams(ngrams)
    return feeds
