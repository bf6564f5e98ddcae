"""Run a model's .onnx on raw inputs: image files or texts in, labels and probabilities out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, InvalidModel
from .images import MAX_PIXELS, ImagePreprocessing
from .metadata import IMAGE_CLASSIFICATION, METADATA_KEY, TOKENIZER_KEY, ModelMetadata
from .sessions import open_session
from .texts import TextEncoder, TextPreprocessing, length_batches, pad
from .undescribed import UndescribedSession, describe

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

TOP = 5
IMAGE_BATCH = 4  # more does not run faster on a CPU and only takes memory
TOKENS_IN_BATCH = 2048
DECODERS = 4

Feeds = dict[str, npt.NDArray[Any]]
Raw = bytes | str


@dataclass(frozen=True)
class Prediction:
    """The likeliest class, its probability (0…1), and the likeliest few with theirs, best first."""

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


class Preprocessor(Protocol):
    """Turns raw inputs into batches that the network takes."""

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield (indices into `inputs`, the network's inputs by name). Raises `InvalidInput`."""


class ImageBatches:
    """Image files to normalised batches named `image`."""

    def __init__(self, preprocessing: ImagePreprocessing, max_pixels: int) -> None:
        self._preprocessing = preprocessing
        self._max_pixels = max_pixels

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield batches in the order of the inputs; several files are decoded at a time."""
        files = [content for content in inputs if isinstance(content, bytes)]
        if len(files) < len(inputs):
            number = next(
                number for number, content in enumerate(inputs, 1) if not isinstance(content, bytes)
            )
            raise InvalidInput(f"Input {number} is a text; this model classifies images. Send an image file.")
        if len(files) == 1:
            yield [0], {"image": self._preprocessing.normalise([self._pixels(files[0])])}
            return
        with ThreadPoolExecutor(DECODERS) as pool:
            for start in range(0, len(files), IMAGE_BATCH):
                numbered = list(enumerate(files[start : start + IMAGE_BATCH], start=start + 1))
                images = list(pool.map(self._decode, numbered))
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
        encoded = self._encoder.encode(texts)
        for indices in length_batches([len(ids) for ids in encoded], tokens=TOKENS_IN_BATCH):
            feeds: Feeds = {**pad([encoded[index] for index in indices])}
            yield indices, feeds


class Predictor:
    """A loaded model. Safe to use from many threads at a time."""

    def __init__(
        self, session: "InferenceSession | UndescribedSession", metadata: ModelMetadata, inputs: Preprocessor
    ) -> None:
        self._session = session
        self._inputs = inputs
        self.metadata = metadata

    @classmethod
    def from_bytes(
        cls,
        onnx: bytes,
        *,
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        image_classes: Sequence[str] = (),
    ) -> "Predictor":
        """Load an .onnx; `threads` within one prediction, None for one per core.

        An image model that does not describe itself, because others made it, needs its
        `image_classes` in the order of its scores. Raises `InvalidModel` for a file that does not load.
        """
        try:
            session = open_session(onnx, threads=threads, keep_buffers=False)
        except Exception as error:  # the runtime's own exceptions have no common base
            raise InvalidModel(f"The file is no ONNX model that can be loaded ({error}).") from error
        properties = session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in properties:
            if image_classes:
                foreign = UndescribedSession(session, len(image_classes))
                metadata = describe(foreign, image_classes)
                return cls(foreign, metadata, _preprocessor(metadata, properties, max_pixels))
            raise InvalidModel(
                f"The file has no {METADATA_KEY!r} metadata: it was not made by this platform."
            )
        metadata = ModelMetadata.from_json(properties[METADATA_KEY])
        return cls(session, metadata, _preprocessor(metadata, properties, max_pixels))

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield (indices into `inputs`, the network's inputs by name). Raises `InvalidInput`."""
        return self._inputs.batches(inputs)

    def probabilities(self, inputs: Sequence[Raw]) -> npt.NDArray[np.float32]:
        """Return the probability of each class for each input, N × classes. Raises `InvalidInput`."""
        result = np.empty((len(inputs), len(self.metadata.classes)), np.float32)
        for indices, feeds in self.batches(inputs):
            result[indices] = self._session.run(["probabilities"], feeds)[0]
        return result

    def predict(self, inputs: Sequence[Raw]) -> list[Prediction]:
        """Classify image files (bytes) or texts (str), whichever the model's task is. Raises `InvalidInput`."""
        return [self._prediction(row) for row in self.probabilities(inputs)]

    def _prediction(self, row: npt.NDArray[np.float32]) -> Prediction:
        order = np.argsort(-row, kind="stable")[:TOP]
        top = tuple((self.metadata.classes[index], float(row[index])) for index in order)
        return Prediction(*top[0], top)


def _preprocessor(metadata: ModelMetadata, properties: dict[str, str], max_pixels: int) -> Preprocessor:
    try:
        if metadata.task_type == IMAGE_CLASSIFICATION:
            return ImageBatches(ImagePreprocessing(**metadata.preprocessing), max_pixels)
        encoder = TextEncoder(properties[TOKENIZER_KEY], TextPreprocessing(**metadata.preprocessing))
        return TextBatches(encoder)
    except Exception as error:  # tokenizers raises plain Exception on a damaged file
        raise InvalidModel(
            f"The model's preprocessing cannot be read ({error!r}); train it again."
        ) from error
