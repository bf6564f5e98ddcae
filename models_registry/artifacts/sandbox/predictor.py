"""A model in a sandbox, seen from the platform: it predicts and explains like one that is loaded here."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..batches import Raw
from ..errors import BrokenLimit, InvalidInput, InvalidModel
from ..explanations import Explanation
from ..metadata import ModelMetadata, is_storable
from ..predictor import Prediction
from ..watchdog import TimeLimit, watchdog
from .answers import read_explanations, read_predictions
from .messages import Message, MessageError, read_message, write_message

ROOT = Path(__file__).resolve().parents[3]  # where `models_registry` lies
BOOT = "import sys; sys.path.append(sys.argv[1]); from models_registry.artifacts.sandbox.child import main; main()"
STARTS_WITHIN = 60.0  # seconds, of a machine that has much else to do
MOST_ANSWERED = 16 << 20  # bytes
INPUTS_AT_ONCE = 16  # have to be done within the time limit
# A sandbox gets none of the platform's variables. These keep it from starting threads and from heaps for each.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
NEEDED_TO_START = ("LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")  # by some installations of Python


class SandboxError(Exception):
    """A sandbox did not start, or had ended before it was asked: no fault of the model's; try again."""


@dataclass(frozen=True)
class SandboxLimits:
    """Seconds of a core that opening a model, or a few inputs, may take, and bytes of memory beside the libraries."""

    seconds: float
    memory: int


class SandboxedPredictor:
    """A model in a child process. Safe to use from many threads, one of which is served at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]", limits: SandboxLimits) -> None:
        self.is_without_network = False
        self.metadata: ModelMetadata
        self._process = process
        self._limits = limits
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _end, process)

    @classmethod
    def open(
        cls,
        pieces: Iterable[bytes],
        size: int,
        *,
        limits: SandboxLimits,
        image_classes: Sequence[str] = (),
    ) -> "SandboxedPredictor":
        """Open a model's file of `size` bytes, which come in pieces: they are never all in this process.

        `image_classes` are for a file that does not name its own. Raises `InvalidModel`, `BrokenLimit` for
        one that takes too much, `SandboxError`, and what reading the pieces raises.
        """
        predictor = cls(_start(), limits)
        try:
            predictor._open(pieces, size, image_classes)
        except BaseException:
            predictor.close()
            raise
        return predictor

    @property
    def is_closed(self) -> bool:
        """Say whether the child has ended."""
        return not self._end.alive or self._process.poll() is not None

    def predict(self, inputs: Sequence[Raw]) -> list[Prediction]:
        """Classify image files (bytes) or texts (str), whichever the model's task is.

        Raises `InvalidInput`, `InvalidModel`, `BrokenLimit`, `SandboxError`.
        """
        return [prediction for prediction, _ in self._ask(inputs, explain=False)]

    def explain(self, inputs: Sequence[Raw]) -> list[tuple[Prediction, Explanation]]:
        """Classify and say why. Raises what `predict` raises."""
        return [(prediction, why) for prediction, why in self._ask(inputs, explain=True) if why is not None]

    def close(self) -> None:
        """End the child; what is asked of it now fails."""
        self._end()

    def _open(self, pieces: Iterable[bytes], size: int, image_classes: Sequence[str]) -> None:
        told = {
            "memory": self._limits.memory,
            "seconds": self._limits.seconds,
            "size": size,
            "image_classes": list(image_classes),
        }
        with watchdog().limit(STARTS_WITHIN, self._process.kill):
            try:
                self._write(told)
                ready = self._read()
            except (MessageError, OSError) as error:
                raise SandboxError("A process for models of others did not start. Try again.") from error
        self.is_without_network = ready.get("is_without_network") is True
        self._send(pieces, size)
        answer = self._within_limits(lambda: None)
        metadata = answer.get("metadata")
        if not isinstance(metadata, str):
            raise InvalidModel("It does not say what it is.")
        self.metadata = ModelMetadata.from_json(metadata)

    def _send(self, pieces: Iterable[bytes], size: int) -> None:
        """Hand the file over. Raises `InvalidModel` when it has not the size that it was said to have."""
        assert self._process.stdin is not None
        left = size
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            with contextlib.suppress(OSError):  # reading the answer says why nobody listens
                self._process.stdin.write(piece)
        if left:
            raise InvalidModel("Its .onnx changed while it was read.")
        with contextlib.suppress(OSError):
            self._process.stdin.flush()

    def _ask(self, inputs: Sequence[Raw], *, explain: bool) -> list[tuple[Prediction, Explanation | None]]:
        found: list[tuple[Prediction, Explanation | None]] = []
        for start in range(0, len(inputs), INPUTS_AT_ONCE):
            found += self._ask_few(inputs[start : start + INPUTS_AT_ONCE], explain=explain)
        return found

    def _ask_few(
        self, inputs: Sequence[Raw], *, explain: bool
    ) -> list[tuple[Prediction, Explanation | None]]:
        texts = [given for given in inputs if isinstance(given, str)]
        images = [given for given in inputs if isinstance(given, bytes)]
        if texts and images:
            raise InvalidInput("Send either image files or texts.")
        request = {"explain": explain, "texts": texts, "sizes": [len(image) for image in images]}
        with self._lock:
            if self.is_closed:
                raise SandboxError("The process of this model has ended. Try again.")
            answer = self._within_limits(lambda: self._write(request, images))
        classes = set(self.metadata.classes)
        predictions = read_predictions(answer, classes, len(inputs))
        if not explain:
            return [(prediction, None) for prediction in predictions]
        return list(zip(predictions, read_explanations(answer, classes, inputs), strict=True))

    def _within_limits(self, ask: Callable[[], None]) -> dict[str, object]:
        """Ask, and return the answer. Raises what the child says is wrong, or how it ended."""
        answer: Message | None = None
        # This thread only waits, so that it is given the longer time; the child counts its own seconds of a core.
        with watchdog().limit(self._limits.seconds, self._process.kill) as limit:
            try:
                ask()
                answer = self._read()
            except (MessageError, OSError):  # it has ended, or what it says is nothing to rely on
                pass
        if answer is None or limit.is_over:
            self.close()
            raise BrokenLimit(self._why_it_ended(limit))
        because = _storable(answer.get("because"))
        match answer.get("wrong"):
            case None:
                return answer
            case "input":
                raise InvalidInput(because)
            case "limit":
                self.close()
                raise BrokenLimit(because)
        raise InvalidModel(because)

    def _why_it_ended(self, limit: TimeLimit) -> str:
        code = self._process.wait()
        if limit.is_over or code == -signal.SIGXCPU:
            return f"It took longer than {self._limits.seconds:g} seconds."
        try:
            return f"It ended the process that it ran in ({signal.Signals(-code).name})."
        except ValueError:
            return f"It ended the process that it ran in (exit status {code})."

    def _write(self, message: dict[str, object], contents: Sequence[bytes] = ()) -> None:
        assert self._process.stdin is not None
        write_message(self._process.stdin, message, contents)

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        return read_message(self._process.stdout, most=MOST_ANSWERED)


def _start() -> "subprocess.Popen[bytes]":
    """Start a child; from one thread for all, because a child ends with the thread that started it."""
    try:
        return _starter().submit(_popen).result()
    except OSError as error:
        raise SandboxError(f"A process for models of others cannot be started ({error.strerror}).") from error


@lru_cache(maxsize=1)
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="sandboxes")


def _popen() -> "subprocess.Popen[bytes]":
    passed_on = {name: os.environ[name] for name in NEEDED_TO_START if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-c", BOOT, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**passed_on, **ENVIRONMENT},
        start_new_session=True,  # what ends the platform from a terminal ends it by its pipe
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a child and take it off the system's list."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe and pipe.close()


def _storable(because: object) -> str:
    """Return a reason that a child gave as one that can be stored and shown."""
    text = because if isinstance(because, str) and because else "It cannot be used."
    return "".join(letter if is_storable(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text[:500])
