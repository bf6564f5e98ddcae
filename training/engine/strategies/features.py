"""What a pretrained network says of a whole data set, through ONNX Runtime on all cores or on a GPU.

Every example is read and decoded once, and passes through the network once: its features, and what the
stages that are to be trained will take in, come from the same run. Several small batches run at a time,
each on one core: with two cores that is a quarter faster than one batch on both, and reading and
decoding one batch overlaps with the network's run on another.
"""

import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from models_registry.artifacts import ImagePreprocessing, InvalidInput, TextPreprocessing
from models_registry.artifacts.eight_bits import eight_bits_pay
from models_registry.artifacts.sessions import open_session, uses_gpu
from models_registry.artifacts.texts import TextEncoder, Windows, length_batches, pad, window_shares

from ..data.near_copies import SKETCH_BYTES, SKETCH_SIDE
from ..events import Progress
from ..examples import Examples
from ..export.onnx_graph import with_outputs
from ..fault_injection import crash_point
from ..feature_files import FEATURES, SKETCH, VIEWS, WHOLE
from ..loop.checkpoints import Checkpoints
from ..loop.distributed import ALONE, Distributed
from ..loop.inputs import shared_array
from ..mapped_arrays import forget, taken
from ..networks.backbones import PreparedBackbone
from .feature_cache import FeatureCache

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

IMAGES_ON_CPU = 4  # a batch of more leaves the second-level cache and runs slower
IMAGES_ON_GPU = 64
TOKENS_ON_CPU = 512
TOKENS_ON_GPU = 16_384
TEXTS_AT_ONCE, CHARACTERS_AT_ONCE = 5_000, 2_000_000  # tokenised between two looks at whether to stop
IN_MEMORY = 256 << 20  # bytes of features; more lie in a file that is mapped into memory
LOOK_AROUND = 0.2  # seconds
AHEAD = 4  # batches that are handed to each thread at a time
KEEP_EVERY = 15.0  # seconds between two pieces of the features that are kept for a later attempt

OTHER_VIEWS = 2  # of few images: mirrored, and mirrored and closer
CLOSE = 0.75  # of a side that is seen from closer
TRIED = 8  # photos by which is decided whether eight bits will do
MOST_LOST = 0.05  # of what tells photos apart, the variance of their features

Features = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Wanted:
    """What to extract beside the features: the inputs of stage `cut` (0 for none), of each image and its
    mirror image with `mirrored`, and the decoded images with `pixels`. `folder` takes the files. `tokens`
    are those of the texts, where they are known; with `windows` over 1 longer texts are also seen as a whole, in as
    many windows. With `eight_bits` the network of eight bits may look, where it is faster and sees nearly the same."""

    folder: Path
    cut: int = 0
    mirrored: bool = False
    pixels: bool = False
    views: bool = False
    tokens: Sequence[Sequence[int]] | None = None
    windows: int = 1
    eight_bits: bool = False


@dataclass
class Extracted:
    """What was extracted, a row for each example; `unreadable` says why some rows mean nothing.

    `activations` are examples × views × C × H × W of images, (all tokens) × width of texts, whose
    `tokens`, those that were wanted, follow one another. `views` are examples × views × dimension: features of the same
    images seen otherwise.
    `sketches`, of images, are what near copies are found by (`data.near_copies`). `whole` are the features of texts as
    a whole, the means over `windows` of them, where `features` are those of their beginnings. `in_eight_bits` says that
    the network of eight bits has looked.
    """

    features: Features
    whole: Features | None = None
    windows: int = 1
    views: Features | None = None
    sketches: npt.NDArray[np.uint8] | None = None
    activations: npt.NDArray[np.float32] | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    tokens: Sequence[Sequence[int]] = ()
    unreadable: dict[int, str] = field(default_factory=dict)
    in_eight_bits: bool = False

    @property
    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what other trainings may use again, by its name in files of features."""
        found = {FEATURES: self.features, VIEWS: self.views, SKETCH: self.sketches, WHOLE: self.whole}
        return {name: values for name, values in found.items() if values is not None}


@dataclass(frozen=True)
class Seen:
    """What a head may learn from: the features of examples, and those of other views of them where they are few.

    `sketches` are those of images. `windows` is in how many windows a text is read at the most.
    """

    features: Features
    views: Features | None = None
    sketches: npt.NDArray[np.uint8] | None = None
    windows: int = 1

    @classmethod
    def of(cls, extracted: Extracted) -> "Seen":
        """Return that of the readable examples."""
        found = cls(extracted.features, extracted.views, extracted.sketches)
        if not extracted.unreadable:
            return found
        return found.only(np.delete(np.arange(len(extracted.features)), list(extracted.unreadable)))

    def only(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "Seen":
        """Return that of some examples."""
        some = np.asarray(rows, np.int64)
        return Seen(
            taken(self.features, some),
            None if self.views is None else taken(self.views, some),
            None if self.sketches is None else taken(self.sketches, some),
            self.windows,
        )

    def with_labels(self, labels: npt.NDArray[np.int64]) -> tuple[Features, npt.NDArray[np.int64]]:
        """Return the features of all views, and the classes of the examples as often."""
        if self.views is None:
            return self.features, labels
        views = self.views.reshape(-1, self.views.shape[2])
        again = np.repeat(labels, self.views.shape[1])
        return np.concatenate([self.features, views]), np.concatenate([labels, again])


def extract(
    backbone: PreparedBackbone,
    examples: Examples,
    wanted: Wanted,
    *,
    threads: int,
    progress: Progress,
    checkpoints: Checkpoints,
    cache: FeatureCache,
    ranks: Distributed = ALONE,
) -> Extracted:
    """Return features and what else is wanted. Raises `TrainingStopped`."""
    views = (OTHER_VIEWS, CLOSE)
    cache.open(backbone, views)
    in_eight_bits = wanted.eight_bits and not cache.is_open and _eight_bits_do(backbone, examples, threads)
    if in_eight_bits:
        cache.open(backbone, views, in_eight_bits=True)
    kind = _ImageRun if backbone.architecture.reads_images else _TextRun
    run = kind(backbone, examples, replace(wanted, eight_bits=in_eight_bits), cache.dimension(), ranks)
    # Features that are known are as good as new; what else is extracted is too large to keep.
    keeps = not (wanted.cut or wanted.pixels)
    cached = cache.restore(examples, run.extracted.columns) if keeps else set[int]()
    run.plan([index for index in range(len(examples)) if index not in cached], progress)
    keeper = _Keeper(run.extracted, checkpoints if keeps else None)
    known = cached | keeper.restore()
    ranks.wait()  # until all have read, before the first one keeps more
    batches = ranks.share([batch for batch in run.batches if not known.issuperset(batch)])

    def work(batch: Sequence[int]) -> None:
        run.work(batch)
        keeper.done(batch)

    def pause() -> None:
        keeper.keep()
        for values in run.extracted.columns.values():
            forget(values)

    run_batches(work, batches, threads=threads, progress=progress, on_pause=pause, known=len(known))
    keeper.keep(everything=True)
    crash_point("features.done")
    extracted = replace(run.extracted, unreadable=ranks.merge(run.extracted.unreadable))
    known = cached | extracted.unreadable.keys()
    cache.save(examples, extracted.columns, (index for index in range(len(examples)) if index not in known))
    return extracted


def _eight_bits_do(backbone: PreparedBackbone, examples: Examples, threads: int) -> bool:
    """Return whether the network of eight bits is faster here, and sees some of the photos nearly as the full one does.

    How nearly says `MOST_LOST`: of photos the rounding of a layer's numbers averages out over places, of flat images
    it errs alike in all of them.
    """
    if not backbone.has_quantized or not eight_bits_pay(backbone.folder.parent):
        return False
    preprocessing = backbone.architecture.image_preprocessing
    tried = np.unique(np.linspace(0, len(examples) - 1, TRIED).astype(int)).tolist()
    images = [image for _, image in _decoded(preprocessing, examples, tried, {})]
    batches = [
        preprocessing.normalise([images[place] for place in some])
        for some in _chunks(len(images), IMAGES_ON_CPU)
    ]
    if not batches:
        return False
    with ThreadPoolExecutor(threads) as pool:
        full, rounded = (
            np.concatenate([*pool.map(partial(_features_of, open_session(str(path), threads=1)), batches)])
            for path in (backbone.onnx, backbone.quantized)
        )
    lost, variance = np.square(rounded - full).sum(), np.square(full - full.mean(0)).sum()
    return bool(lost <= MOST_LOST * variance)


def _features_of(session: "InferenceSession", images: Features) -> Features:
    found: Features = session.run(["features"], {"image": images})[0]
    return found


def decode(
    preprocessing: ImagePreprocessing,
    examples: Examples,
    folder: Path,
    *,
    threads: int,
    progress: Progress,
    ranks: Distributed = ALONE,
) -> Extracted:
    """Return the decoded images only. Raises `TrainingStopped`."""
    images = _new_pixels(preprocessing, len(examples), folder, ranks)
    extracted = Extracted(np.empty((len(examples), 0), np.float32), pixels=images)

    def work(batch: Sequence[int]) -> None:
        for index, image in _decoded(preprocessing, examples, batch, extracted.unreadable):
            images[index] = image

    batches = ranks.share(_chunks(len(examples), IMAGES_ON_CPU))
    run_batches(work, batches, threads=threads, progress=progress)
    return replace(extracted, unreadable=ranks.merge(extracted.unreadable))


def encode(
    tokenizer: str, preprocessing: TextPreprocessing, texts: Sequence[str], progress: Progress
) -> list[Sequence[int]]:
    """Return the token ids of texts, a sixth as large as lists of them would be. Raises `TrainingStopped`."""
    windows = encode_windows(tokenizer, replace(preprocessing, windows=1), texts, progress)
    return [array("i", first) for first, *_ in windows]


def encode_windows(
    tokenizer: str, preprocessing: TextPreprocessing, texts: Sequence[str], progress: Progress
) -> Iterator[Windows]:
    """Yield the token ids of the windows in which each text is read. Raises `TrainingStopped`."""
    encoder = TextEncoder(tokenizer, preprocessing)
    for some in in_chunks(texts):
        progress.check()
        yield from encoder.encode_windows(some)


def in_chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield some texts at a time, few of long ones."""
    start = size = 0
    for end, text in enumerate(texts):
        if end - start == TEXTS_AT_ONCE or (end > start and size + len(text) > CHARACTERS_AT_ONCE):
            yield texts[start:end]
            start, size = end, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]


def close_up(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the middle of a square image, as large as the whole."""
    side = len(image)
    edge = round(side * (1 - CLOSE) / 2)
    box = (edge, edge, side - edge, side - edge)
    scaled = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC, box)
    return np.asarray(scaled)


def _sketch(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return what near copies of a decoded image are found by."""
    small = Image.fromarray(image).resize((SKETCH_SIDE, SKETCH_SIDE), Image.Resampling.BOX)
    return np.asarray(small.convert("L")).ravel()


def _new_pixels(
    preprocessing: ImagePreprocessing, count: int, folder: Path, ranks: Distributed
) -> npt.NDArray[np.uint8]:
    return shared_array(folder, (count, preprocessing.crop, preprocessing.crop, 3), np.uint8, ranks)


def _chunks(count: int, size: int) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _decoded(
    preprocessing: ImagePreprocessing, examples: Examples, batch: Sequence[int], unreadable: dict[int, str]
) -> list[tuple[int, npt.NDArray[np.uint8]]]:
    found = []
    for index in batch:
        content = examples.raw(index)
        assert isinstance(content, bytes)
        try:
            found.append((index, preprocessing.pixels(content)))
        except InvalidInput as error:
            unreadable[index] = str(error)
    return found


class _Run:
    """The network with the outputs that are wanted, and where they go.

    `dimension` is that of the features where it is known: then the network is opened when something is to be seen.
    """

    def __init__(
        self,
        backbone: PreparedBackbone,
        examples: Examples,
        wanted: Wanted,
        dimension: int | None,
        ranks: Distributed,
    ) -> None:
        self.backbone = backbone
        self.examples = examples
        self.wanted = wanted
        self.ranks = ranks
        self.batches: list[Sequence[int]] = []
        self.dimension = dimension or int(self.session.get_outputs()[0].shape[1])
        features = self._zeros((len(examples), self.dimension), np.float32)
        self.extracted = Extracted(features, in_eight_bits=wanted.eight_bits)

    @cached_property
    def session(self) -> "InferenceSession":
        """Return the opened network."""
        outputs = ["features", *([f"stage.{self.wanted.cut}"] if self.wanted.cut else [])]
        network = self.backbone.quantized if self.wanted.eight_bits else self.backbone.onnx
        return open_session(with_outputs(network.read_bytes(), outputs), threads=1)

    def plan(self, indices: Sequence[int], progress: Progress) -> None:
        """Divide the examples that are to be seen into `batches`. Raises `TrainingStopped`."""
        self.batches = self.divide(indices, progress)
        if self.batches:
            _ = self.session  # opened before several threads want it

    def divide(self, indices: Sequence[int], progress: Progress) -> list[Sequence[int]]:
        """Return the batches in which some examples are to be seen. Raises `TrainingStopped`."""
        raise NotImplementedError

    def work(self, batch: Sequence[int]) -> None:
        """Let the network see a batch, and write down what comes out; from any thread."""
        raise NotImplementedError

    def _zeros(self, shape: tuple[int, ...], kind: type[Number]) -> npt.NDArray[Number]:
        if self.ranks.world_size == 1 and np.prod(shape) * np.dtype(kind).itemsize <= IN_MEMORY:
            return np.zeros(shape, kind)
        return shared_array(self.wanted.folder, shape, kind, self.ranks)


class _ImageRun(_Run):
    """Images, decoded as their batch comes."""

    def __init__(
        self,
        backbone: PreparedBackbone,
        examples: Examples,
        wanted: Wanted,
        dimension: int | None,
        ranks: Distributed,
    ) -> None:
        super().__init__(backbone, examples, wanted, dimension, ranks)
        self.preprocessing = backbone.architecture.image_preprocessing
        count = len(examples)
        self.extracted.sketches = self._zeros((count, SKETCH_BYTES), np.uint8)
        if wanted.pixels:
            self.extracted.pixels = _new_pixels(self.preprocessing, count, wanted.folder, ranks)
        if wanted.views:
            self.extracted.views = self._zeros((count, OTHER_VIEWS, self.dimension), np.float32)
        if wanted.cut:
            views = 2 if wanted.mirrored else 1
            shape = self.session.get_outputs()[1].shape[1:]
            whole = (count, views, *(int(size) for size in shape))
            self.extracted.activations = shared_array(wanted.folder, whole, np.float32, ranks)
            if wanted.mirrored:  # a session runs its whole graph: this one ends where the activations are
                self.mirror = open_session(
                    with_outputs(backbone.onnx.read_bytes(), [f"stage.{wanted.cut}"]), threads=1
                )

    def divide(self, indices: Sequence[int], progress: Progress) -> list[Sequence[int]]:
        """Return batches of images as they come."""
        size = IMAGES_ON_GPU if uses_gpu() else IMAGES_ON_CPU
        return [indices[start : start + size] for start in range(0, len(indices), size)]

    def work(self, batch: Sequence[int]) -> None:
        """Decode a batch, run it, and write down what comes out."""
        decoded = _decoded(self.preprocessing, self.examples, batch, self.extracted.unreadable)
        if not decoded:
            return
        rows, images = [index for index, _ in decoded], [image for _, image in decoded]
        if self.extracted.pixels is not None:
            self.extracted.pixels[rows] = images
        assert self.extracted.sketches is not None
        self.extracted.sketches[rows] = [_sketch(image) for image in images]
        normalised = self.preprocessing.normalise(images)
        features, *more = self.session.run(None, {"image": normalised})
        self.extracted.features[rows] = features
        if self.extracted.views is not None:
            close = self.preprocessing.normalise([close_up(image)[:, ::-1] for image in images])
            for number, view in enumerate((np.ascontiguousarray(normalised[..., ::-1]), close)):
                self.extracted.views[rows, number] = self.session.run(["features"], {"image": view})[0]
        if self.extracted.activations is not None:
            self.extracted.activations[rows, 0] = more[0]
            if self.wanted.mirrored:
                mirrored = np.ascontiguousarray(normalised[..., ::-1])
                self.extracted.activations[rows, 1] = self.mirror.run(None, {"image": mirrored})[0]


class _TextRun(_Run):
    """Texts, tokenised before, in batches of alike lengths."""

    def __init__(
        self,
        backbone: PreparedBackbone,
        examples: Examples,
        wanted: Wanted,
        dimension: int | None,
        ranks: Distributed,
    ) -> None:
        super().__init__(backbone, examples, wanted, dimension, ranks)
        # Those of all texts, one after the other: as many lists take several times the memory.
        self.ids, self.starts = array("i"), np.zeros(len(examples) + 1, np.int64)
        self.further: dict[int, Windows] = {}  # the other windows of texts that have several
        self.extracted.tokens = wanted.tokens or ()
        if wanted.windows > 1:
            self.extracted.windows = wanted.windows
            self.extracted.whole = self._zeros((len(examples), self.dimension), np.float32)

    def divide(self, indices: Sequence[int], progress: Progress) -> list[Sequence[int]]:
        """Tokenise the texts that are to be seen; returns batches of alike lengths."""
        for index, (first, *further) in zip(indices, self._windows(indices, progress), strict=True):
            self.ids.extend(first)
            self.starts[index + 1] = len(first)
            if further:
                self.further[index] = [array("i", window) for window in further]
        lengths = self.starts[1:][np.array(indices, np.int64)].tolist()
        np.cumsum(self.starts, out=self.starts)
        if self.wanted.cut:
            width = int(self.session.get_outputs()[1].shape[2])
            shape = (len(self.ids), width)
            self.extracted.activations = shared_array(self.wanted.folder, shape, np.float32, self.ranks)
        limit = TOKENS_ON_GPU if uses_gpu() else TOKENS_ON_CPU
        return [[indices[place] for place in batch] for batch in length_batches(lengths, tokens=limit)]

    def _windows(self, indices: Sequence[int], progress: Progress) -> Iterator[Windows]:
        """Yield the token ids of the windows in which each of some texts is read, in their order."""
        if self.wanted.tokens is not None and self.wanted.windows == 1:
            yield from ([self.wanted.tokens[index]] for index in indices)
        elif indices:
            tokenizer = self.backbone.tokenizer() or ""
            preprocessing = self.backbone.architecture.text_preprocessing
            preprocessing = replace(preprocessing, windows=self.wanted.windows)
            texts = [self.examples.names[index] for index in indices]
            yield from encode_windows(tokenizer, preprocessing, texts, progress)

    def _first(self, index: int) -> Sequence[int]:
        """Return the token ids of a text's beginning."""
        return self.ids[self.starts[index] : self.starts[index + 1]]

    def work(self, batch: Sequence[int]) -> None:
        """Run a batch, and write down what comes out."""
        features, *more = self.session.run(None, {**pad([self._first(index) for index in batch])})
        self.extracted.features[batch] = features
        if self.extracted.whole is not None:
            self.extracted.whole[batch] = [self._whole(*pair) for pair in zip(batch, features, strict=True)]
        if self.extracted.activations is not None:
            for row, index in enumerate(batch):
                start, end = self.starts[index], self.starts[index + 1]
                self.extracted.activations[start:end] = more[0][row, : end - start]

    def _whole(self, index: int, first: Features) -> Features:
        """Return the features of a text as a whole, the mean over its windows, of which the first is known."""
        further = self.further.get(index)
        if further is None:
            return first
        others = self.session.run(["features"], {**pad(further)})[0]
        found: Features = window_shares([self._first(index), *further]) @ np.vstack([first, others])
        return found


class _Keeper:
    """Keeps the features of finished batches for a later attempt, every now and then."""

    def __init__(self, extracted: Extracted, checkpoints: Checkpoints | None) -> None:
        self._extracted = extracted
        self._checkpoints = checkpoints
        self._finished: list[int] = []
        self._lock = threading.Lock()
        self._kept_at = time.monotonic()

    def restore(self) -> set[int]:
        """Take over what earlier attempts have kept; returns whose features they are."""
        known: set[int] = set()
        for indices, features in self._checkpoints.load_features() if self._checkpoints else ():
            if self._unpack(indices, features):
                known.update(indices.tolist())
        return known

    def _pack(self, indices: npt.NDArray[np.int64]) -> Features:
        """Return the features of some examples, behind them those of their other views and their sketches, and how
        many bits they are made with."""
        bits = np.full((len(indices), 1), self._bits, np.float32)
        return np.concatenate([*(part[indices].astype(np.float32) for part in self._parts()), bits], axis=1)

    def _unpack(self, indices: npt.NDArray[np.int64], kept: Features) -> bool:
        """Take over what `_pack` returned; says whether it is of as many views and bits."""
        parts = self._parts()
        ends = np.cumsum([part.shape[1] for part in parts])
        if kept.shape[1] != ends[-1] + 1 or (kept[:, -1] != self._bits).any():
            return False
        for part, values in zip(parts, np.split(kept[:, :-1], ends[:-1], axis=1), strict=True):
            part[indices] = values.astype(part.dtype)
        return True

    @property
    def _bits(self) -> int:
        return 8 if self._extracted.in_eight_bits else 32

    def _parts(self) -> list[npt.NDArray[np.generic]]:
        """Return what is kept, each as examples × numbers that are written through."""
        extracted = self._extracted
        found = (extracted.features, extracted.whole, extracted.views, extracted.sketches)
        return [part.reshape(len(part), -1) for part in found if part is not None]

    def done(self, batch: Sequence[int]) -> None:
        """Note a finished batch, from any thread. Those with unreadable examples are seen again."""
        if not self._extracted.unreadable.keys() & set(batch):
            with self._lock:
                self._finished += batch

    def keep(self, *, everything: bool = False) -> None:
        """Keep what is new, if it is time to."""
        recent = time.monotonic() - self._kept_at < KEEP_EVERY
        if self._checkpoints is None or not self._checkpoints.enabled or (recent and not everything):
            return
        with self._lock:
            finished, self._finished = self._finished, []
        if finished:
            indices = np.array(finished, np.int64)
            self._checkpoints.save_features(indices, self._pack(indices))
            crash_point("features.chunk")
        self._kept_at = time.monotonic()


def run_batches(
    work: Callable[[Sequence[int]], None],
    batches: Sequence[Sequence[int]],
    *,
    threads: int,
    progress: Progress,
    on_pause: Callable[[], None] = lambda: None,
    known: int = 0,
) -> None:
    """Do the work on every batch, several at a time, telling how many examples are done.

    `on_pause` is called between batches, in the caller's thread; `known` examples need no work. What a
    batch raises ends the whole. Raises `TrainingStopped` within a batch's time.
    """
    total, done = known + sum(map(len, batches)), known
    with ThreadPoolExecutor(threads) as pool:
        waiting, pending = iter(batches), dict[Future[None], int]()
        try:
            while True:
                # To wait takes as long as futures are many, which would be tens of thousands of a million texts.
                some = islice(waiting, threads * AHEAD - len(pending))
                pending |= {pool.submit(work, batch): len(batch) for batch in some}
                if not pending:
                    break
                finished, _ = wait(pending, timeout=LOOK_AROUND, return_when=FIRST_COMPLETED)
                for future in finished:
                    done += pending.pop(future)
                    future.result()
                progress.tell(done, total, f"{done:,} of {total:,} examples")
                on_pause()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
