"""An LRU cache of loaded predictors, bounded by the bytes of their files."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager

from models_registry.artifacts import Predictor
from models_registry.artifacts.memory import return_freed_memory
from models_registry.artifacts.sandbox import AnyPredictor, SandboxedPredictor, SandboxLimits
from models_registry.artifacts.sessions import shrink_memory

from .semaphore import FifoSemaphore

OPENED_AT_ONCE = 1  # while it is opened, a model takes several times its size
FETCHED_AT_ONCE = 2  # so that one does not wait for another's bucket
SANDBOX = 24 << 20  # bytes of a file that takes as much memory as a sandbox does beside its own
_Key = tuple[
    str, ...
]  # how it is run, the file's digest and, for a file that does not name them, its classes
_Opened = tuple[AnyPredictor, int]  # and what it counts
Stream = AbstractContextManager[tuple[Iterable[bytes], int]]  # a file in pieces, and its size


class PredictorCache:
    """Loads each model once, however many requests wait for it, and keeps what was used last.

    A model counts with the size of its file, which is mostly its weights. One that is larger than the
    whole cache is kept until the next one comes: refusing it would load it for every request.
    """

    def __init__(self, max_bytes: int, *, threads: int | None = None, seconds: float | None = None) -> None:
        """Name the bytes to keep, and the threads and the most seconds of a model's run."""
        self._max_bytes = max_bytes
        self._threads = threads
        self._seconds = seconds
        self._lock = threading.Lock()
        self._fetching = FifoSemaphore(FETCHED_AT_ONCE)
        self._opening = FifoSemaphore(OPENED_AT_ONCE)
        self._loaded: OrderedDict[_Key, _Opened] = OrderedDict()
        self._loading: dict[_Key, Future[AnyPredictor]] = {}

    def get(self, sha256: str, load: Callable[[], bytes], *, image_classes: Sequence[str] = ()) -> Predictor:
        """Return the model whose file has this SHA-256; `load` fetches the file when it is not in memory.

        `image_classes` are for a file that does not name its own.

        What `load` or the file raises is raised to every caller that waits for it; the next call tries again.
        """
        found = self._get(("", sha256, *image_classes), lambda key: self._open(key, load(), image_classes))
        assert isinstance(found, Predictor)
        return found

    def get_sandboxed(
        self,
        sha256: str,
        stream: Callable[[], Stream],
        *,
        limits: SandboxLimits,
        image_classes: Sequence[str] = (),
    ) -> SandboxedPredictor:
        """Return a model that others made, in a sandbox; one that has ended is opened again.

        `stream` reads its file. Raises what `get` raises.
        """

        def open_model(key: _Key) -> AnyPredictor:
            with stream() as (pieces, size):
                self._make_room(size + SANDBOX)
                predictor = SandboxedPredictor.open(pieces, size, limits=limits, image_classes=image_classes)
            self._keep(key, predictor, size + SANDBOX)
            return predictor

        found = self._get(("sandbox", sha256, *image_classes), open_model)
        assert isinstance(found, SandboxedPredictor)
        return found

    def _get(self, key: _Key, open_model: Callable[[_Key], AnyPredictor]) -> AnyPredictor:
        with self._lock:
            known = self._loaded.get(key)
            if known is not None and known[0].is_closed:
                known = None
                del self._loaded[key]
            if known is not None:
                self._loaded.move_to_end(key)
                return known[0]
            future = self._loading.get(key)
            if mine := future is None:
                future = self._loading[key] = Future()
        if mine:
            self._load(key, open_model, future)
        return future.result()

    def holds(self, sha256: str) -> bool:
        """Tell whether a model of ours with this SHA-256 is loaded."""
        with self._lock:
            return ("", sha256) in self._loaded

    @property
    def bytes_used(self) -> int:
        """Return the sizes of the loaded models' files, summed."""
        with self._lock:
            return sum(size for _, size in self._loaded.values())

    def _load(
        self, key: _Key, open_model: Callable[[_Key], AnyPredictor], future: Future[AnyPredictor]
    ) -> None:
        try:
            with self._fetching.acquire():  # and to be opened: a file that waits for it is memory, too
                predictor = open_model(key)
        except BaseException as error:
            with self._lock:
                del self._loading[key]
            future.set_exception(error)
            return
        with self._lock:
            del self._loading[key]
        future.set_result(predictor)

    def _open(self, key: _Key, content: bytes, image_classes: Sequence[str]) -> Predictor:
        """Open a model, and keep it; those that have to go for it go first."""
        with self._opening.acquire():
            self._make_room(len(content))
            predictor = Predictor.from_bytes(
                content, threads=self._threads, image_classes=image_classes, seconds=self._seconds
            )
            self._keep(key, predictor, len(content))
            del content
            return_freed_memory()  # the half of what it took
            return predictor

    def _keep(self, key: _Key, predictor: AnyPredictor, size: int) -> None:
        with self._lock:
            self._loaded[key] = (predictor, size)

    def _make_room(self, size: int) -> None:
        evicted = []
        with self._lock:
            used = sum(known for _, known in self._loaded.values())
            while self._loaded and used + size > self._max_bytes:
                evicted.append(self._loaded.popitem(last=False)[1])
                used -= evicted[-1][1]
        if evicted:
            evicted.clear()
            shrink_memory()
            return_freed_memory()
