"""Predictors that stay loaded, up to a number of bytes, least recently used out first."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from models_registry.artifacts import Predictor


class PredictorCache:
    """Loads each model once, however many requests wait for it, and keeps what was used last.

    A model counts with the size of its file, which is mostly its weights. One that is larger than
    the whole cache is kept until the next one comes: refusing it would load it for every request.
    """

    def __init__(self, max_bytes: int, *, threads: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, tuple[Predictor, int]] = OrderedDict()
        self._loading: dict[str, Future[Predictor]] = {}

    def get(self, sha256: str, load: Callable[[], bytes]) -> Predictor:
        """Return the model whose file has this SHA-256; `load` fetches the file when it is not in memory.

        What `load` or the file raises reaches everybody who waits for it, and the next call tries again.
        """
        with self._lock:
            if sha256 in self._loaded:
                self._loaded.move_to_end(sha256)
                return self._loaded[sha256][0]
            future = self._loading.get(sha256)
            if mine := future is None:
                future = self._loading[sha256] = Future()
        if mine:
            self._load(sha256, load, future)
        return future.result()

    @property
    def bytes_used(self) -> int:
        """Return the sizes of the loaded models' files, summed."""
        with self._lock:
            return sum(size for _, size in self._loaded.values())

    def _load(self, sha256: str, load: Callable[[], bytes], future: Future[Predictor]) -> None:
        try:
            content = load()
            predictor = Predictor.from_bytes(content, threads=self._threads)
        except BaseException as error:
            with self._lock:
                del self._loading[sha256]
            future.set_exception(error)
            return
        with self._lock:
            del self._loading[sha256]
            self._loaded[sha256] = (predictor, len(content))
            used = sum(size for _, size in self._loaded.values())
            while used > self._max_bytes and len(self._loaded) > 1:
                used -= self._loaded.popitem(last=False)[1][1]
        future.set_result(predictor)
