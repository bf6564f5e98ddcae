"""Fine-tuning: how much of the hardware's speed the loop leaves, and what *Accurate* gains over the usual way.

Seconds on a shared machine say little, so each figure comes with its reference, measured in the same
process: the loop against a bare one that does nothing but steps, *Accurate* against fine-tuning the whole
network by the usual recipe. Both get the same labelled examples and hold out the same tenth of them; the usual
way chooses its epoch as ours does, by the least loss on that part. What it would have been with the epoch
that the test likes best, which nobody can know, is reported as `finetune_best_…`. Few test examples say
little of one training, so a comparison is made from several seeds: accuracies are their means, seconds and
ratios their medians. `…cpu_seconds` count the processor's time alone.
"""

import contextlib
import hashlib
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.labelled_data import CACHE, DATA, Labelled, hold_out, read_csv, read_zip, write_csv, write_zip
from devtools.platform_process import ROOT
from models_registry.artifacts import ImagePreprocessing, Predictor
from models_registry.artifacts.machine import Measured
from models_registry.artifacts.texts import TextEncoder, pad
from training.engine.catalogue import Architecture, get_architecture
from training.engine.data import parse_data_split, stratified_split
from training.engine.events import Progress
from training.engine.loop.arithmetic import KEPT_IN, MOST, ON_GPU, WORTH, Arithmetic, choose
from training.engine.loop.checkpoints import Checkpoints
from training.engine.loop.inputs import Pixels
from training.engine.loop.loop import Classifier, RunContext, Task, fit
from training.engine.networks.backbones import get_backbone
from training.engine.networks.factory import get_family
from training.engine.networks.stages import Network
from training.engine.request import TrainingRequest
from training.engine.specs.hyperparameters import Hyperparameters, TrainConfig
from training.engine.specs.strategies import BEST, FINETUNE
from training.engine.training import train
from training.engine.weights_files import read_verified

EPOCHS = int(os.environ.get("TRAINYARD_BENCH_EPOCHS", "8"))
SEEDS = int(os.environ.get("TRAINYARD_BENCH_SEEDS", "3"))
ROUNDS = 3
BATCH = 32
STEPS = 8
SPLIT = "90 : 10"
RATES = {"efficientnet lite0": 1e-3, "minilm": 2e-4}


def throughput() -> dict[str, Any]:
    """Whole-network training of EfficientNet-Lite0 through the loop, and through nothing but steps."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = np.random.default_rng(0).integers(0, 256, (BATCH * STEPS, 224, 224, 3), np.uint8)
    labels = np.arange(len(images)) % 10
    arithmetic = _arithmetic(images, device)
    ours, bare = [], []
    for _ in range(ROUNDS):  # in turn, so that a neighbour's load falls on both
        ours.append(_loop_speed(images, labels, device, arithmetic))
        bare.append(_bare_speed(images, labels, device))
    return {
        "images_per_second": round(statistics.median(ours), 1),
        "bare_loop_images_per_second": round(statistics.median(bare), 1),
        "ratio": round(statistics.median(a / b for a, b in zip(ours, bare, strict=True)), 3),
        "arithmetic": str(arithmetic),
        "rounds": ROUNDS,
    }


def image() -> dict[str, Any]:
    """*Accurate* on flowers12, against fine-tuning the whole network."""
    parts = photos()
    return _compare("efficientnet lite0", *parts, write_zip(parts[0]), "train.zip")


def text() -> dict[str, Any]:
    """*Accurate* on banking77, against fine-tuning the whole network; and the LSTM's accuracy."""
    train_part, test_part = sentences()
    return _compare("minilm", train_part, test_part, write_csv(train_part), "train.csv")


def recurrent() -> dict[str, Any]:
    """The LSTM and the GRU on banking77 with their own defaults."""
    train_part, test_part = sentences()
    figures: dict[str, Any] = {}
    for name in ("lstm", "gru"):
        run = run_training(name, write_csv(train_part), "train.csv", test_part)
        figures |= {
            f"{name}_seconds": run.seconds,
            f"{name}_cpu_seconds": run.cpu_seconds,
            f"{name}_accuracy": run.accuracy,
        }
    return figures


def photos() -> tuple[Labelled, Labelled]:
    """Return flowers12 to train on and to test by; digits, where it is not at hand."""
    if (DATA / "flowers12_train.zip").exists():
        return read_zip(DATA / "flowers12_train.zip"), read_zip(DATA / "flowers12_test.zip")
    return hold_out(read_zip(ROOT / "samples" / "digits.zip"))


def sentences() -> tuple[Labelled, Labelled]:
    """Return banking77 to train on and to test by; a part of it, where the whole is not at hand."""
    if (DATA / "banking77_train.csv").exists():
        return read_csv(DATA / "banking77_train.csv"), read_csv(DATA / "banking77_test.csv")
    return hold_out(read_csv(ROOT / "samples" / "banking.csv"))


@dataclass
class Run:
    """What a training took, and how good it is on the test part."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    accuracy: float = 0.0


@dataclass(frozen=True)
class Usual:
    """Fine-tuning up to the epoch that validation chooses, up to the one that does best on the test, and up
    to the first as good there as *Accurate* (the last, if none is)."""

    chosen: Run
    best: Run
    alike: Run
    by_epoch: list[float]


@contextlib.contextmanager
def _clock(run: Run) -> Iterator[None]:
    wall, cpu = time.monotonic(), time.process_time()
    yield
    run.seconds = round(run.seconds + time.monotonic() - wall, 1)
    run.cpu_seconds = round(run.cpu_seconds + time.process_time() - cpu, 1)


def _compare(name: str, train_part: Labelled, test_part: Labelled, data: bytes, file: str) -> dict[str, Any]:
    get_backbone(get_architecture(name), CACHE)  # prepared once on each machine, not by each job
    pairs = []
    for seed in range(SEEDS):
        accurate = run_training(name, data, file, test_part, seed)
        pairs.append(
            (accurate, _usual(get_architecture(name), train_part, test_part, accurate.accuracy, seed))
        )
    ours, usual = [accurate for accurate, _ in pairs], [reference.chosen for _, reference in pairs]
    best, alike = [reference.best for _, reference in pairs], [reference.alike for _, reference in pairs]

    def speedup(theirs: list[Run]) -> float:
        return round(statistics.median(a.seconds / b.seconds for a, b in zip(theirs, ours, strict=True)), 2)

    return {
        **_figures("accurate", ours),
        **_figures("finetune", usual),
        **_figures("finetune_best", best),
        "finetune_by_epoch": [reference.by_epoch for _, reference in pairs],
        "finetune_seconds_to_same_accuracy": statistics.median(one.seconds for one in alike),
        "speedup": speedup(usual),
        "speedup_to_best": speedup(best),
        "speedup_to_same_accuracy": speedup(alike),
        "cpu_speedup": round(
            statistics.median(a.cpu_seconds / b.cpu_seconds for a, b in zip(usual, ours, strict=True)), 2
        ),
        "seeds": SEEDS,
    }


def _figures(name: str, runs: list[Run]) -> dict[str, Any]:
    return {
        f"{name}_seconds": statistics.median(run.seconds for run in runs),
        f"{name}_cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
        f"{name}_accuracy": round(statistics.mean(run.accuracy for run in runs), 4),
        f"{name}_accuracies": [run.accuracy for run in runs],
    }


def run_training(
    name: str, data: bytes, file: str, test_part: Labelled, seed: int = 0, budget_minutes: int | None = None
) -> Run:
    """Train as a job would, from the data set's file to checked artifacts; test what it exported.

    With a budget *Best* trains, else *Accurate*.
    """
    run, architecture = Run(), get_architecture(name)
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        path = Path(folder) / file
        path.write_bytes(data)
        request = TrainingRequest(
            public_id="benchmark",
            name="Benchmark",
            task_type=architecture.task_type,
            architecture=name,
            strategy=BEST if budget_minutes else FINETUNE,
            dataset_path=str(path),
            dataset_sha256=hashlib.sha256(data).hexdigest(),
            columns={"input": "input", "label": "label"},
            output_dir=folder,
            cache_dir=str(CACHE),
            data_split=SPLIT,
            seed=seed,
            hyperparameters=Hyperparameters(budget_minutes=budget_minutes),
        )
        with _clock(run):
            result = train(request, lambda _: None, should_stop=lambda: False)
        predictor = Predictor.from_bytes(Path(folder, result.artifacts["onnx"]).read_bytes())
        found = predictor.predict([given for given, _ in test_part])
    right = sum(one.label == true for one, (_, true) in zip(found, test_part, strict=True))
    run.accuracy = round(right / len(test_part), 4)
    return run


class _Whole(nn.Module):
    """A pretrained network with a new head, all of it to be trained."""

    def __init__(self, network: Network, dimension: int, classes: int) -> None:
        super().__init__()
        self.network = network
        self.head = nn.Linear(dimension, classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits."""
        return self.head(self.network(*inputs))


def _whole(architecture: Architecture, classes: int) -> _Whole:
    network = get_family(architecture.family).build_pretrained(architecture)
    return _Whole(network, architecture.dimension, classes)


def _usual(
    architecture: Architecture, train_part: Labelled, test_part: Labelled, accuracy: float, seed: int
) -> Usual:
    """Fine-tune the whole network: AdamW, one-cycle, label smoothing, images mirrored.

    Inputs are decoded and tokenised before, and neither validation nor tests are timed, which is in this
    way's favour.
    """
    torch.manual_seed(seed)
    classes = sorted({label for _, label in train_part})
    truth, expected = (
        torch.tensor([classes.index(label) for _, label in part]) for part in (train_part, test_part)
    )
    split = stratified_split(truth.tolist(), parse_data_split(SPLIT), seed)
    train_rows, validation_rows = torch.tensor(split.train), torch.tensor(split.validation)
    take, take_test = (_taker(architecture, [given for given, _ in part]) for part in (train_part, test_part))
    network = _whole(architecture, len(classes))
    rate, steps = RATES[architecture.name], math.ceil(len(train_rows) / BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, EPOCHS * steps)
    clock, epochs, losses = Run(), [], []
    for _ in range(EPOCHS):
        network.train()
        with _clock(clock):
            for places in torch.randperm(len(train_rows)).split(BATCH):
                rows = train_rows[places]
                loss = functional.cross_entropy(network(*take(rows, True)), truth[rows], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        held_out = _logits(network, take, validation_rows), truth[validation_rows]
        losses.append(functional.cross_entropy(*held_out, label_smoothing=0.1).item())
        guesses = _logits(network, take_test, torch.arange(len(expected))).argmax(1)
        epochs.append(replace(clock, accuracy=round((guesses == expected).double().mean().item(), 4)))
    return Usual(
        chosen=epochs[losses.index(min(losses))],
        best=max(epochs, key=lambda run: run.accuracy),
        alike=next((run for run in epochs if run.accuracy >= accuracy), epochs[-1]),
        by_epoch=[run.accuracy for run in epochs],
    )


@torch.inference_mode()
def _logits(network: nn.Module, take: Callable[[Tensor, bool], tuple[Tensor, ...]], rows: Tensor) -> Tensor:
    network.eval()
    return torch.cat([network(*take(part, False)) for part in rows.split(4 * BATCH)])


def _taker(
    architecture: Architecture, inputs: Sequence[bytes | str]
) -> Callable[[Tensor, bool], tuple[Tensor, ...]]:
    """Return what makes batches, the images mirrored at random in training."""
    preprocessing = architecture.preprocessing
    if isinstance(preprocessing, ImagePreprocessing):
        images = np.stack([preprocessing.pixels(given) for given in inputs if isinstance(given, bytes)])

        def take_images(rows: Tensor, training: bool) -> tuple[Tensor, ...]:
            batch = torch.from_numpy(preprocessing.normalise(list(images[rows.numpy()])))
            mirrored = torch.rand(len(rows)) < 0.5 if training else torch.zeros(len(rows), dtype=torch.bool)
            return (torch.where(mirrored[:, None, None, None], batch.flip(3), batch),)

        return take_images
    assert architecture.tokenizer is not None
    encoder = TextEncoder(read_verified(architecture.tokenizer).decode(), preprocessing)
    encoded = encoder.encode([given for given in inputs if isinstance(given, str)])

    def take_texts(rows: Tensor, _: bool) -> tuple[Tensor, ...]:
        arrays = pad([encoded[row] for row in rows.tolist()])
        return tuple(torch.from_numpy(array) for array in arrays.values())

    return take_texts


def _arithmetic(images: np.ndarray, device: torch.device) -> Arithmetic:
    """Return what a training on this machine would be computed in."""
    if device.type == "cuda":
        return ON_GPU
    network = _whole(get_architecture("efficientnet lite0"), 10)
    classifier = Classifier(network.network, network.head, start=0, cut=0)
    rows = np.arange(MOST)
    batch = (*Pixels(images, "light", rows).batch(rows, device, None), torch.from_numpy(rows % 10))
    return choose(
        Measured(CACHE / KEPT_IN), "efficientnet lite0 from stage 0", classifier, batch, examples=WORTH
    )


def _loop_speed(
    images: np.ndarray, labels: np.ndarray, device: torch.device, arithmetic: Arithmetic
) -> float:
    """Return images per second of an epoch of the loop, with its augmentation, from the decoded images' file."""
    network = _whole(get_architecture("efficientnet lite0"), 10)
    rows = np.arange(len(images))
    progress = Progress(lambda _: None, lambda: False)
    request = TrainingRequest("t", "n", "", "", "", "", "", {}, "", "")
    fitted = fit(
        Classifier(network.network, network.head, start=0, cut=0),
        Task(Pixels(images, "light", rows), labels, 10, rows, rows[:BATCH]),
        TrainConfig("adamw", 1e-4, BATCH, 1, one_cycle=True, label_smoothing=0.1, mixed_precision=True),
        RunContext(device, 0, arithmetic=arithmetic),
        progress=progress,
        checkpoints=Checkpoints(request, progress),
    )
    return fitted.examples_per_second


def _bare_speed(images: np.ndarray, labels: np.ndarray, device: torch.device) -> float:
    """Return images per second of nothing but steps on batches that lie on the device already."""
    network = _whole(get_architecture("efficientnet lite0"), 10).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    batch = torch.from_numpy(images[:BATCH]).to(device).permute(0, 3, 1, 2).float().div_(255)
    truth = torch.from_numpy(labels[:BATCH]).to(device)
    began = time.monotonic()
    for _ in range(STEPS):
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = functional.cross_entropy(network(batch), truth, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return BATCH * STEPS / (time.monotonic() - began)
