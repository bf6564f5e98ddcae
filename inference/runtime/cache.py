"""Predictors that stay loaded, up to a number of bytes, least recently used out first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from models_registry.artifacts import Predictor
from models_registry.artifacts.memory import return_freed_memory

from .turns import Turns

OPENED_AT_ONCE = 1  # while it is opened, a model takes several times its size
FETCHED_AT_ONCE = 2  # so that one does not wait for another's bucket
_Key = tuple[str, ...]  # the file's digest and, for a file that does not name them, its classes


class PredictorCache:
    """Loads each model once, however many requests wait for it, and keeps what was used last.

    A model counts with the size of its file, which is mostly its weights. One that is larger than the
    whole cache is kept until the next one comes: refusing it would load it for every request.
    """

    def __init__(self, max_bytes: int, *, threads: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._threads = threads
        self._lock = threading.Lock()
        self._fetching = Turns(FETCHED_AT_ONCE)
        self._opening = Turns(OPENED_AT_ONCE)
        self._loaded: OrderedDict[_Key, tuple[Predictor, int]] = OrderedDict()
        self._loading: dict[_Key, Future[Predictor]] = {}

    def get(self, sha256: str, load: Callable[[], bytes], *, image_classes: Sequence[str] = ()) -> Predictor:
        """Return the model whose file has this SHA-256; `load` fetches the file when it is not in memory.

        `image_classes` are for a file that does not name its own.

        What `load` or the file raises reaches everybody who waits for it, and the next call tries again.
        """
        key = (sha256, *image_classes)
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key][0]
            future = self._loading.get(key)
            if mine := future is None:
                future = self._loading[key] = Future()
        if mine:
            self._load(key, load, future)
        return future.result()

    @property
    def bytes_used(self) -> int:
        """Return the sizes of the loaded models' files, summed."""
        with self._lock:
            return sum(size for _, size in self._loaded.values())

    def _load(self, key: _Key, load: Callable[[], bytes], future: Future[Predictor]) -> None:
        try:
            with self._fetching.take():  # and to be opened: a file that waits for it is memory, too
                predictor = self._open(key, load())
        except BaseException as error:
            with self._lock:
                del self._loading[key]
            future.set_exception(error)
            return
        with self._lock:
            del self._loading[key]
        future.set_result(predictor)

    def _open(self, key: _Key, content: bytes) -> Predictor:
        """Open a model, and keep it; those that have to go for it go first."""
        with self._opening.take():
            self._make_room(len(content))
            predictor = Predictor.from_bytes(content, threads=self._threads, image_classes=key[1:])
            with self._lock:
                self._loaded[key] = (predictor, len(content))
            del content
            return_freed_memory()  # the half of what it took
            return predictor

    def _make_room(self, size: int) -> None:
        evicted = []
        with self._lock:
            used = sum(known for _, known in self._loaded.values())
            while self._loaded and used + size > self._max_bytes:
                evicted.append(self._loaded.popitem(last=False)[1])
                used -= evicted[-1][1]
        if evicted:
            evicted.clear()
            return_freed_memory()
