"""The gate before a model goes live: its two files must give the same answers from raw input."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models_registry.artifacts import Predictor
from models_registry.artifacts.batches import Feeds
from models_registry.artifacts.model_metrics import ParityMetrics

from .torchscript import load_torchscript

TOLERANCE = 1e-3  # of a probability; also the margin under which the first two classes are a tie
SAMPLES = 64


@dataclass(frozen=True)
class Parity:
    """The largest difference of a probability, and how many samples got another label with a clear margin."""

    max_abs_difference: float
    changed_labels: int
    samples: int
    tolerance: float = TOLERANCE

    @property
    def holds(self) -> bool:
        """Whether the files may be published."""
        return self.max_abs_difference <= self.tolerance and not self.changed_labels

    def to_json(self) -> ParityMetrics:
        """Return the figures as plain data."""
        return {
            "max_abs_difference": self.max_abs_difference,
            "changed_labels": self.changed_labels,
            "samples": self.samples,
        }


Answers = npt.NDArray[np.float32]  # probabilities, N × classes
Batch = tuple[list[int], Feeds]  # of a predictor


@dataclass(frozen=True)
class FileAnswers:
    """What a model's files say of the same inputs; `quantized` is None where there is no .onnx of eight bits."""

    served: Answers
    scripted: Answers
    quantized: Answers | None


def answers_of_files(
    onnx: bytes,
    torchscript: Path,
    quantized: bytes | None,
    inputs: Sequence[bytes | str],
    *,
    threads: int,
    check: Callable[[], None],
) -> FileAnswers:
    """Return what each file says of raw inputs, which are prepared once, with the very preprocessing that serves them.

    `check` is called between batches, by two threads, and may raise to stop.
    """
    # Neither runtime keeps all cores busy: side by side, each with a part of them, they end a quarter sooner.
    threads = max(1, threads // 2)
    predictor = Predictor.from_bytes(onnx, threads=threads)
    batches = list(predictor.batches(inputs))
    shape = (len(inputs), len(predictor.metadata.classes))

    def run(predictor: Predictor) -> Answers:
        answers = np.empty(shape, np.float32)
        for indices, feeds in batches:
            answers[indices] = predictor.run(feeds)
            check()
        return answers

    def run_both() -> tuple[Answers, Answers | None]:
        smaller = None if quantized is None else Predictor.from_bytes(quantized, threads=threads)
        return run(predictor), None if smaller is None else run(smaller)

    with ThreadPoolExecutor(1) as executor, _torch_threads(threads):
        running = executor.submit(run_both)
        scripted = _run_torchscript(torchscript, batches, shape, check)
        served, smaller = running.result()
    return FileAnswers(served, scripted, smaller)


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run_torchscript(
    path: Path, batches: Sequence[Batch], shape: tuple[int, int], check: Callable[[], None]
) -> Answers:
    network, _ = load_torchscript(path)
    answers = np.empty(shape, np.float32)
    # The profiling executor would compile for the first batches' shapes, for longer than all of them run.
    with torch.inference_mode(), torch.jit.optimized_execution(False):
        for indices, feeds in batches:
            answers[indices] = network(*map(torch.from_numpy, feeds.values())).softmax(-1).numpy()
            check()
    return answers


def compare(served: Answers, other: Answers, *, tolerance: float = TOLERANCE) -> Parity:
    """Compare probabilities, both N × classes. What is no number differs by 1."""
    if not len(served):
        return Parity(0.0, 0, 0, tolerance)
    difference = np.nan_to_num(np.abs(served - other), nan=1.0)
    first_two = np.sort(served, axis=1)[:, -2:]
    clear = first_two[:, 1] - first_two[:, 0] > tolerance
    changed = (served.argmax(1) != other.argmax(1)) & clear
    return Parity(float(difference.max()), int(changed.sum()), len(served), tolerance)
