"""From raw inputs to the batches that a network takes."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .images import ImagePreprocessing
from .texts import TextEncoder, length_batches, pad

IMAGE_BATCH = 4  # more does not run faster on a CPU and only takes memory
TOKENS_IN_BATCH = 2048
DECODERS = 4

Feeds = dict[str, npt.NDArray[Any]]
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


class TextBatches:
    """Texts to padded batches named `input_ids` and `attention_mask`."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield batches of texts of alike lengths."""
        texts = [given for given in inputs if isinstance(given, str)]
        if len(texts) < len(inputs):
            raise InvalidInput("This model classifies texts. Send strings, no files.")
        yield from padded_batches(self._encoder.encode(texts))


def padded_batches(encoded: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], Feeds]]:
    """Yield (indices into `encoded`, `input_ids` and `attention_mask`), token ids of alike lengths together."""
    for indices in length_batches([len(ids) for ids in encoded], tokens=TOKENS_IN_BATCH):
        feeds: Feeds = {**pad([encoded[index] for index in indices])}
        yield indices, feeds
