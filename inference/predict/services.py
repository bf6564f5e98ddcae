"""Predict by token: find the live model, load it once, run it on raw inputs."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from django.conf import settings

from bucket.factory import get_bucket
from core.exceptions import BucketError, InvalidRequest, LimitExceeded, TooManyRequests
from models_registry.artifacts import (
    BrokenLimit,
    InvalidInput,
    InvalidModel,
    Prediction,
    check_pixels,
    inspected_once,
    is_big,
)
from models_registry.artifacts.explanations import Explanation
from models_registry.artifacts.sandbox import AnyPredictor, SandboxError
from models_registry.artifacts.sessions import limit_memory
from models_registry.limits import note_broken_limit, sandbox_limits, stream_file
from models_registry.models import Artifact, RegisteredModel, TaskType
from models_registry.selectors import live_model

from ..usage.prometheus import MODEL_LOADS, MODEL_LOOKUPS, PREDICTION_SECONDS
from ..usage.statistics import usage_recorder
from .handover import Handover
from .lookup import ServedModel, UnknownModel, find_served_model
from .runtime import FifoSemaphore, PredictorCache, Stream, TooManyWaiting

# What a loaded model takes of memory for a byte of its file, with what it needs to be opened and to run.
MEMORY_OF_A_FILE = 3
MOST_WAITING_WITH_BIG_IMAGES = 3  # each keeps a thread of the server
SECONDS_OF_BIG_IMAGES = 5
# Models from outside are run one at a time, and few may wait for it: they may not hold all threads of a process.
MOST_WAITING = 2


Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """Predictions in the order of the inputs, how long they took (milliseconds), and why they are what they are.

    There are explanations only when they were asked for.
    """

    model: RegisteredModel
    predictions: list[Prediction]
    milliseconds: float
    explanations: list[Explanation] = field(default_factory=list)


def get_live_model(token: str) -> RegisteredModel:
    """Return the live model of a token, also one that cannot predict. Raises `UnknownModel`."""
    model = live_model(token)
    if model is None:
        raise UnknownModel
    return model


def predict(*, token: str, inputs: Sequence[bytes | str]) -> Answer:
    """Classify raw image files or texts, as the model's task asks.

    Raises `UnknownModel`, `InvalidRequest` for inputs that cannot be used, `MaintenanceMode`,
    `BucketError` when the model's file cannot be fetched.
    """
    model, predictions, milliseconds = _run(
        token, inputs, lambda predictor: predictor.predict(inputs), most="MAX_PREDICT_INPUTS"
    )
    labels = [prediction.label for prediction in predictions]
    usage_recorder().record(model.pk, labels, milliseconds=milliseconds)
    return Answer(model, predictions, milliseconds)


def explain(*, token: str, inputs: Sequence[bytes | str]) -> Answer:
    """Classify a few image files or texts with explanations. Raises what `predict` raises."""
    model, explained, milliseconds = _run(
        token, inputs, lambda predictor: predictor.explain(inputs), most="MAX_EXPLAINED_INPUTS"
    )
    predictions = [prediction for prediction, _ in explained]
    labels = [prediction.label for prediction in predictions]
    usage_recorder().record(model.pk, labels, milliseconds=milliseconds)
    return Answer(model, predictions, milliseconds, [why for _, why in explained])


@inspected_once()
def _run(
    token: str, inputs: Sequence[bytes | str], work: Callable[[AnyPredictor], list[Found]], *, most: str
) -> tuple[RegisteredModel, list[Found], float]:
    """Run a model's predictor on inputs, up to the setting's number of them. Raises `InvalidRequest`."""
    began = time.perf_counter()
    served = find_served_model(token)
    try:
        _check_inputs(served.model, inputs, settings.TRAINYARD[most])
        if served.model.is_external:
            served, found = _run_external(served, work)
        else:
            served, predictor = _load_as_it_is_now(handover().choose(served))
            with broken_limits_noted(served.model), _place_for(inputs), predictor_semaphore().acquire():
                found = work(predictor)
    except InvalidInput as error:
        raise InvalidRequest(str(error)) from error
    except InvalidModel as error:
        raise BucketError(f"{served.model.name} cannot be used: {error}") from error
    milliseconds = round((time.perf_counter() - began) * 1000, 2)
    PREDICTION_SECONDS.labels(served.model.task_type).observe(milliseconds / 1000)
    return served.model, found, milliseconds


def _run_external(
    served: ServedModel, work: Callable[[AnyPredictor], list[Found]]
) -> tuple[ServedModel, list[Found]]:
    """Run an external model. Raises `TooManyRequests` when too many requests wait for such models already."""
    try:
        with external_semaphore().acquire():
            served = find_served_model(
                served.model.shown_token
            )  # whom it waited for may have found it unusable
            with broken_limits_noted(served.model):
                served, predictor = _load_as_it_is_now(served)
                return served, work(predictor)
    except TooManyWaiting as error:
        raise TooManyRequests(settings.TRAINYARD["EXTERNAL_MODEL_SECONDS"]) from error


@contextmanager
def broken_limits_noted(model: RegisteredModel) -> Iterator[None]:
    """Count a limit that a model breaks in the block. Raises `LimitExceeded` then, `BucketError` for a sandbox's."""
    try:
        yield
    except BrokenLimit as error:
        note_broken_limit(model.pk, str(error))
        raise LimitExceeded(f"{model.name} has broken the limits of a prediction. {error}") from error
    except SandboxError as error:
        raise BucketError(str(error)) from error


def _load_as_it_is_now(served: ServedModel) -> tuple[ServedModel, AnyPredictor]:
    """Load a model. One that was deleted or replaced since it was found is looked for once more.

    Raises `UnknownModel`, and what `load_served` raises.
    """
    while True:
        try:
            return served, load_served(served)
        except (BucketError, InvalidModel):
            now = find_served_model(served.model.shown_token)
            if (now.key, now.sha256) == (served.key, served.sha256):
                raise
            served = now


def load_predictor(model: RegisteredModel) -> AnyPredictor:
    """Return the model's predictor from the cache, or load its file from the bucket.

    Raises `InvalidRequest` for a model that is known to be unusable, `InvalidModel` for a file that
    turns out to be, `BucketError` when the file cannot be fetched.
    """
    artifact = next((found for found in model.artifacts.all() if found.kind == Artifact.Kind.ONNX), None)
    if artifact is None:
        raise BucketError(f"{model.name} has no ONNX file; train it again.")
    if model.unusable_because:
        raise InvalidRequest(f"{model.name} cannot be used: {model.unusable_because}")
    return load_served(ServedModel(model, artifact.key, artifact.sha256))


def load_served(served: ServedModel) -> AnyPredictor:
    """Return a model's predictor from the cache, or load its file; one from outside into a sandbox.

    Raises `InvalidModel`, `BucketError`, `SandboxError`.
    """
    MODEL_LOOKUPS.inc()
    classes = served.model.classes_to_tell
    if served.model.is_external:
        return predictor_cache().get_sandboxed(
            served.sha256, lambda: _stream(served), limits=sandbox_limits(), image_classes=classes
        )
    return predictor_cache().get(served.sha256, lambda: _fetch(served), image_classes=classes)


def _stream(served: ServedModel) -> Stream:
    MODEL_LOADS.inc()
    return stream_file(served.key, served.sha256)


def _fetch(served: ServedModel) -> bytes:
    MODEL_LOADS.inc()
    try:
        with get_bucket().open(served.key) as file:
            content = file.read()
    except BucketError as error:  # its words name the key
        raise BucketError("The model's file cannot be fetched from the bucket now. Try again.") from error
    if hashlib.sha256(content).hexdigest() != served.sha256:
        raise BucketError("The model's file in the bucket is not the one that was published. Train it again.")
    return content


@lru_cache(maxsize=1)
def predictor_cache() -> PredictorCache:
    """Return this process's cache of loaded models."""
    limits = settings.TRAINYARD
    bytes_of_files = limits["PREDICTOR_CACHE_BYTES"] // MEMORY_OF_A_FILE
    limit_memory(limits["PREDICT_MEMORY_BYTES"])
    return PredictorCache(
        bytes_of_files, threads=limits["PREDICTOR_THREADS"], seconds=limits["PREDICT_SECONDS"]
    )


@lru_cache(maxsize=1)
def handover() -> Handover:
    """Return what lets this process go on with a version while the promoted one is loaded."""
    return Handover(holds=lambda sha256: predictor_cache().holds(sha256), load=load_served)


@lru_cache(maxsize=1)
def predictor_semaphore() -> FifoSemaphore:
    """Return the queue in which this process's predictions wait for a core."""
    return FifoSemaphore(settings.TRAINYARD["PREDICTOR_SLOTS"])


@lru_cache(maxsize=1)
def external_semaphore() -> FifoSemaphore:
    """Return the queue in which this process's predictions by models from outside wait for each other."""
    return FifoSemaphore(1, most_waiting=MOST_WAITING)


@lru_cache(maxsize=1)
def big_image_semaphore() -> FifoSemaphore:
    """Return the queue of the predictions whose images are decoded one at a time: they keep one core, not all."""
    return FifoSemaphore(1, most_waiting=MOST_WAITING_WITH_BIG_IMAGES)


@contextmanager
def _place_for(inputs: Sequence[bytes | str]) -> Iterator[None]:
    """Wait, with big images, until there is one core for them. Raises `TooManyRequests` when many wait already."""
    if not any(isinstance(given, bytes) and is_big(given) for given in inputs):
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(big_image_semaphore().acquire())
        except TooManyWaiting as error:
            raise TooManyRequests(SECONDS_OF_BIG_IMAGES) from error
        yield


def _check_inputs(model: RegisteredModel, inputs: Sequence[bytes | str], most: int) -> None:
    if not 1 <= len(inputs) <= most:
        raise InvalidRequest(f"Send 1 to {most} inputs in one call; these are {len(inputs)}.")
    wanted, word = (bytes, "image files") if model.task_type == TaskType.IMAGE else (str, "texts")
    if not all(isinstance(given, wanted) for given in inputs):
        raise InvalidRequest(f"This model classifies {TaskType(model.task_type).label.lower()}: send {word}.")
    longest = settings.TRAINYARD["MAX_TEXT_CHARS"]
    for number, given in enumerate(inputs, start=1):
        if isinstance(given, str) and len(given) > longest:
            raise InvalidRequest(f"Text {number} has {len(given):,} characters; the limit is {longest:,}.")
        if isinstance(given, str) and _holds_half_a_character(given):
            raise InvalidRequest(f"Text {number} holds half of a surrogate pair, which is no character.")
        if isinstance(given, bytes) and len(given) > settings.TRAINYARD["MAX_PREDICT_BYTES"]:
            raise InvalidRequest(
                f"File {number} is larger than {settings.TRAINYARD['MAX_PREDICT_BYTES'] // 2**20} MB."
            )
    if len(inputs) > 1:  # one image has limits of its own
        files = (given for given in inputs if isinstance(given, bytes))
        check_pixels(files, settings.TRAINYARD["MAX_PREDICT_PIXELS"])


def _holds_half_a_character(text: str) -> bool:
    """Tell whether a text cannot be written in UTF-8: JSON can, in escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
