"""Feature vectors of a whole data set, through ONNX Runtime on all cores or on a GPU.

Several small batches run at a time, each on one core: with two cores that is a quarter faster than
one batch on both, and reading and decoding one batch overlaps with the network's run on another.
Decoded images live only as long as their batch.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np
import numpy.typing as npt

from models_registry.artifacts import ImagePreprocessing, InvalidInput, TextPreprocessing
from models_registry.artifacts.sessions import open_session, uses_gpu
from models_registry.artifacts.texts import TextEncoder, length_batches, pad

from .backbones import PreparedBackbone
from .events import Progress
from .examples import Examples

IMAGES_ON_CPU = 4  # a batch of more leaves the second-level cache and runs slower
IMAGES_ON_GPU = 64
TOKENS_ON_CPU = 512
TOKENS_ON_GPU = 16_384
TEXTS_AT_ONCE = 5_000  # tokenised between two looks at whether to stop
LOOK_AROUND = 0.2  # seconds

Features = npt.NDArray[np.float32]


def extract_features(
    backbone: PreparedBackbone, examples: Examples, *, threads: int, progress: Progress
) -> tuple[Features, dict[int, str]]:
    """Return the features, examples × dimension, and why some examples have none, by index.

    Raises `TrainingStopped`.
    """
    preprocessing = backbone.architecture.preprocessing
    if isinstance(preprocessing, ImagePreprocessing):
        return _image_features(backbone, preprocessing, examples, threads, progress)
    return _text_features(backbone, preprocessing, examples, threads, progress), {}


def _image_features(
    backbone: PreparedBackbone,
    preprocessing: ImagePreprocessing,
    examples: Examples,
    threads: int,
    progress: Progress,
) -> tuple[Features, dict[int, str]]:
    session = open_session(str(backbone.onnx), threads=1)
    features = np.zeros((len(examples), backbone.architecture.dimension), np.float32)
    unreadable: dict[int, str] = {}

    def work(indices: Sequence[int]) -> None:
        readable, images = [], []
        for index in indices:
            content = examples.raw(index)
            assert isinstance(content, bytes)
            try:
                images.append(preprocessing.pixels(content))
                readable.append(index)
            except InvalidInput as error:
                unreadable[index] = str(error)
        if readable:
            features[readable] = session.run(None, {"image": preprocessing.normalise(images)})[0]

    size = IMAGES_ON_GPU if uses_gpu() else IMAGES_ON_CPU
    batches = [range(start, min(start + size, len(examples))) for start in range(0, len(examples), size)]
    run_batches(work, batches, threads=threads, progress=progress)
    return features, unreadable


def _text_features(
    backbone: PreparedBackbone,
    preprocessing: TextPreprocessing,
    examples: Examples,
    threads: int,
    progress: Progress,
) -> Features:
    encoder = TextEncoder(backbone.tokenizer() or "", preprocessing)
    encoded: list[list[int]] = []
    for start in range(0, len(examples), TEXTS_AT_ONCE):
        progress.check()
        encoded += encoder.encode(examples.names[start : start + TEXTS_AT_ONCE])
    session = open_session(str(backbone.onnx), threads=1)
    features = np.empty((len(examples), backbone.architecture.dimension), np.float32)

    def work(indices: Sequence[int]) -> None:
        features[indices] = session.run(None, {**pad([encoded[index] for index in indices])})[0]

    tokens = TOKENS_ON_GPU if uses_gpu() else TOKENS_ON_CPU
    batches = list(length_batches([len(ids) for ids in encoded], tokens=tokens))
    run_batches(work, batches, threads=threads, progress=progress)
    return features


def run_batches(
    work: Callable[[Sequence[int]], None],
    batches: Sequence[Sequence[int]],
    *,
    threads: int,
    progress: Progress,
) -> None:
    """Do the work on every batch, several at a time, telling how many examples are done.

    What a batch raises ends the whole. Raises `TrainingStopped` within a batch's time.
    """
    total, done = sum(map(len, batches)), 0
    with ThreadPoolExecutor(threads) as pool:
        pending: dict[Future[None], int] = {pool.submit(work, batch): len(batch) for batch in batches}
        try:
            while pending:
                finished, _ = wait(pending, timeout=LOOK_AROUND, return_when=FIRST_COMPLETED)
                for future in finished:
                    done += pending.pop(future)
                    future.result()
                progress.tell(done, total, f"{done:,} of {total:,} examples")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
