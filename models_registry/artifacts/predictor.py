"""Run a model's .onnx on raw inputs: image files or texts in, labels and probabilities out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from .batches import DECODERS, Feeds, ImageBatches, Preprocessor, Raw, TextBatches, TextInputs
from .decoding import MAX_PIXELS
from .errors import BrokenLimit, InvalidModel
from .explanations import Explainer, Explanation, MapExplainer, NoExplainer, WordExplainer
from .images import ImagePreprocessing
from .metadata import (
    ACTIVATION_MAP,
    IMAGE_CLASSIFICATION,
    METADATA_KEY,
    NGRAMS_KEY,
    TOKENIZER_KEY,
    ModelMetadata,
)
from .ngrams import NgramVocabulary
from .sessions import LimitedSession, Session, is_out_of_memory, open_session, shortened
from .texts import TextEncoder, TextPreprocessing
from .undescribed import UndescribedSession, describe

TOP = 5


@dataclass(frozen=True)
class Prediction:
    """The likeliest class, its probability (0…1), and the likeliest few with theirs, best first."""

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]


class Predictor:
    """A loaded model. Safe to use from many threads at a time."""

    is_closed = False  # as long as somebody has it

    def __init__(
        self, session: Session, metadata: ModelMetadata, inputs: Preprocessor, explainer: Explainer
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._explainer = explainer
        self.metadata = metadata

    @classmethod
    def from_bytes(
        cls,
        onnx: bytes,
        *,
        threads: int | None = None,
        max_pixels: int = MAX_PIXELS,
        image_classes: Sequence[str] = (),
        seconds: float | None = None,
        decoders: int = DECODERS,
    ) -> "Predictor":
        """Load an .onnx; `threads` within one prediction, None for one per core.

        A run of the network that takes longer than `seconds` ends with `BrokenLimit`; `decoders` images
        are decoded at a time.

        An image model that does not describe itself, because others made it, needs its
        `image_classes` in the order of its scores. Raises `InvalidModel` for a file that does not load.
        """
        session = _open(onnx, threads, seconds)
        properties = session.properties
        images = partial(ImageBatches, max_pixels=max_pixels, decoders=decoders)
        if METADATA_KEY in properties:
            metadata = ModelMetadata.from_json(properties[METADATA_KEY])
            return cls(session, metadata, *_sides(session, metadata, properties, images))
        if image_classes:
            external = UndescribedSession(session, len(image_classes))
            metadata = describe(external, image_classes)
            return cls(external, metadata, *_sides(external, metadata, properties, images))
        raise InvalidModel(f"The file has no {METADATA_KEY!r} metadata: it was not made by this platform.")

    def batches(self, inputs: Sequence[Raw]) -> Iterator[tuple[list[int], Feeds]]:
        """Yield (indices into `inputs`, the network's inputs by name). Raises `InvalidInput`."""
        return self._inputs.batches(inputs)

    def probabilities(self, inputs: Sequence[Raw]) -> npt.NDArray[np.float32]:
        """Return the probability of each class for each input, N × classes. Raises `InvalidInput`."""
        result = np.empty((len(inputs), len(self.metadata.classes)), np.float32)
        for indices, feeds in self.batches(inputs):
            result[indices] = self.run(feeds)
        return result

    def run(self, feeds: Feeds) -> npt.NDArray[np.float32]:
        """Return the probability of each class for what `batches` made, N × classes."""
        return self._session.run(["probabilities"], feeds)[0]

    def predict(self, inputs: Sequence[Raw]) -> list[Prediction]:
        """Classify image files (bytes) or texts (str), whichever the model's task is. Raises `InvalidInput`."""
        return [self._prediction(row) for row in self.probabilities(inputs)]

    def explain(self, inputs: Sequence[Raw]) -> list[tuple[Prediction, Explanation]]:
        """Classify and say why; for texts that takes many times as long. Raises `InvalidInput`."""
        rows, explanations = self._explainer.explain(inputs)
        return [(self._prediction(row), why) for row, why in zip(rows, explanations, strict=True)]

    def _prediction(self, row: npt.NDArray[np.float32]) -> Prediction:
        order = np.argsort(-row, kind="stable")[:TOP]
        top = tuple((self.metadata.classes[index], float(row[index])) for index in order)
        return Prediction(*top[0], top)


def _text_inputs(metadata: ModelMetadata, properties: dict[str, str]) -> TextInputs:
    """Return what a text model reads. Raises `InvalidModel`, or what the tokenizers library raises."""
    encoder = vocabulary = None
    if NGRAMS_KEY in properties:
        vocabulary = NgramVocabulary.from_json(properties[NGRAMS_KEY])
    if TOKENIZER_KEY in properties or vocabulary is None:
        encoder = TextEncoder(properties[TOKENIZER_KEY], TextPreprocessing(**metadata.preprocessing))
    return TextInputs(encoder, vocabulary)


def _open(onnx: bytes, threads: int | None, seconds: float | None) -> LimitedSession:
    """Return a session of an .onnx. Raises `BrokenLimit` when memory is short, `InvalidModel` for another reason."""
    try:
        return LimitedSession(open_session(onnx, threads=threads, keep_buffers=False), seconds)
    except Exception as error:  # the runtime's own exceptions have no common base
        if is_out_of_memory(error):
            raise BrokenLimit("The model needs more memory to be opened than it may have.") from error
        raise InvalidModel(f"The file is no ONNX model that can be loaded ({shortened(error)}).") from error


def _sides(
    session: Session,
    metadata: ModelMetadata,
    properties: dict[str, str],
    images_of: Callable[[ImagePreprocessing], ImageBatches],
) -> tuple[Preprocessor, Explainer]:
    """Return what goes before a network, and what reads more out of it than probabilities."""
    try:
        if metadata.task_type == IMAGE_CLASSIFICATION:
            preprocessing = ImagePreprocessing.from_json(metadata.preprocessing)
            images = images_of(preprocessing)
            if any(output.name == ACTIVATION_MAP for output in session.get_outputs()):
                return images, MapExplainer(session, images, preprocessing, metadata.classes)
            return images, NoExplainer(session, images, metadata.classes)
        inputs = _text_inputs(metadata, properties)
        return TextBatches(inputs), WordExplainer(session, inputs, metadata.classes)
    except InvalidModel:
        raise
    except Exception as error:  # whatever stands in the file
        raise InvalidModel(
            f"The model's preprocessing cannot be read ({error!r:.200}); train it again."
        ) from error
