"""The one training loop, for images and texts, whole networks and their last stages.

An epoch's order, augmentation and dropout are drawn from the seed and the epoch's number alone, and
what an epoch leaves is kept in a checkpoint. So a training that dies anywhere goes on after its last
whole epoch, and ends with the weights that it would have had.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from ..events import EpochMetrics, Progress, RunningMetrics, TrainingError
from ..fault_injection import crash_point
from ..networks.stages import Network, State
from ..specs.hyperparameters import TrainConfig
from .arithmetic import FLOAT32, Arithmetic
from .augmentation import Draws
from .checkpoints import Checkpoints
from .distributed import ALONE, Distributed
from .inputs import Inputs, Rows, Source
from .optimization import LearningRate, balancing_weights, make_optimizer

BUCKETS = 32  # batches of texts among which alike lengths are gathered
VALIDATION_BATCHES = 4  # times the training's batch size; nothing is kept for a backward pass
FITTING, REFITTING = 0, 1  # stages of a training that draw differently
PROBED_STEPS = 3  # after which it is known about how long an epoch takes
COMPILE_FROM = 2_000  # steps on a GPU, under which compiling costs more than it saves


class Classifier(nn.Module):
    """The stages of a network from `start` on, and its head; those before `cut` stay as they are."""

    def __init__(self, network: Network, head: nn.Linear, *, start: int, cut: int) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.start, self.cut = start, cut
        self.dropout = nn.Dropout(network.dropout)
        for stage in network.stages[:cut]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> "Classifier":
        """Set the mode of the trained stages; the others always evaluate."""
        super().train(mode)
        for stage in self.network.stages[: self.cut]:
            stage.eval()
        return self

    def forward(self, value: Tensor, mask: Tensor | None) -> Tensor:
        """Return logits, N × classes, of what stage `start` takes in."""
        if self.start < self.cut:
            with torch.no_grad():
                value = self.network.walk(value, mask, self.start, self.cut)
        features = self.network.walk(value, mask, self.cut, len(self.network.stages))
        return self.head(self.dropout(features))  # type: ignore[no-any-return]

    def trained_state(self) -> State:
        """Return a copy of all that training changes: the trained stages' state and the head's."""
        return {
            name: value.detach().to("cpu", copy=True)
            for name, value in self.state_dict().items()
            if not self._is_frozen(name)
        }

    def restore(self, state: State) -> None:
        """Take over what `trained_state` returned."""
        missing, unexpected = self.load_state_dict(state, strict=False)
        if unexpected or any(not self._is_frozen(name) for name in missing):
            raise TrainingError("The checkpoint is not of this network. Delete it and start the job again.")

    def _is_frozen(self, name: str) -> bool:
        parts = name.split(".")  # network.stages.3.…
        return parts[0] == "network" and int(parts[2]) < self.cut


@dataclass(frozen=True)
class Epoch:
    """An epoch's figures; losses in nats, accuracies 0…1."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float

    def shown(self) -> EpochMetrics:
        """Return the figures to six digits, for people."""
        rounded = {name: float(f"{value:.6g}") for name, value in asdict(self).items()}
        return EpochMetrics.from_json({**rounded, "epoch": self.epoch})


@dataclass(frozen=True)
class Task:
    """What is to be learnt: inputs, their classes' numbers, and which examples are for what."""

    source: Source
    labels: npt.NDArray[np.int64]
    classes: int
    train: Rows
    validation: Rows


@dataclass(frozen=True)
class RunContext:
    """The device, seed, processes and arithmetic of a run; `unit` names what its speed counts, images or texts."""

    device: torch.device
    seed: int
    unit: str = "images"
    compile: bool = True
    ranks: Distributed = ALONE
    arithmetic: Arithmetic = FLOAT32


@dataclass
class Fitted:
    """A finished training; the classifier has the weights of the best epoch, numbered from 1.

    `arithmetic` is that of the attempt which began it, wherever it went on.
    """

    epochs: list[Epoch]
    best_epoch: int
    probabilities: npt.NDArray[np.float32]
    resumed_from_epoch: int
    examples_per_second: float
    arithmetic: Arithmetic


@dataclass
class TrainState:
    """The state of a training that a checkpoint keeps, apart from weights."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    best_state: State = field(default_factory=dict)
    seen: int = 0
    seconds: float = 0.0

    @property
    def best_loss(self) -> float:
        """Return the least validation loss so far; infinity before the first epoch."""
        return self.epochs[self.best - 1].validation_loss if self.best else math.inf

    def is_over(self, config: TrainConfig) -> bool:
        """Return whether all epochs are done, or early stopping applies."""
        epochs = len(self.epochs)
        return epochs >= config.epochs or bool(
            config.early_stopping and epochs - self.best >= config.early_stopping
        )


def fit(
    classifier: Classifier,
    task: Task,
    config: TrainConfig,
    context: RunContext,
    *,
    progress: Progress,
    checkpoints: Checkpoints | None,
) -> Fitted:
    """Train as planned and go back to the epoch with the least validation loss.

    That loss is smoothed as the training's is: a network that was taught to be unsure would else seem
    to become worse while it becomes better.

    Raises `TrainingError` when the loss is no number any more, `TrainingStopped`.
    """
    loop = _Loop(classifier, task, config, context, progress, checkpoints)
    resumed = loop.resume()
    crash_point("train.begin")
    while not loop.train_state.is_over(config):
        loop.run_epoch()
    classifier.restore(loop.train_state.best_state)
    probabilities = loop.predict(task.validation).softmax(-1).cpu().numpy()
    crash_point("train.done")
    state = loop.train_state
    speed = state.seen / max(state.seconds, 1e-9)
    return Fitted(state.epochs, state.best, probabilities, resumed, speed, loop.arithmetic)


def epoch_seconds(
    classifier: Classifier, task: Task, config: TrainConfig, context: RunContext, *, progress: Progress
) -> float:
    """Return about how many seconds an epoch takes, by a few of its steps. The classifier is trained by them."""
    seconds = 0.0
    for steps in (1, PROBED_STEPS):  # a network's first step takes longer than any other
        rows = task.train[: steps * config.batch_size]
        loop = _Loop(classifier, replace(task, train=rows), config, context, progress, None)
        began = time.monotonic()
        loop.train_epoch(0, FITTING)
        seconds = (time.monotonic() - began) * len(task.train) / len(rows)
    return seconds


def predict(
    classifier: Classifier, task: Task, config: TrainConfig, context: RunContext, *, progress: Progress
) -> npt.NDArray[np.float32]:
    """Return the probabilities of the validation part, N × classes. Raises `TrainingStopped`."""
    loop = _Loop(classifier, task, config, context, progress, None)
    found: npt.NDArray[np.float32] = loop.predict(task.validation).softmax(-1).cpu().numpy()
    return found


def refit(
    classifier: Classifier,
    task: Task,
    config: TrainConfig,
    context: RunContext,
    *,
    progress: Progress,
    epochs: Sequence[Epoch],
) -> None:
    """Train for `config.epochs` on the training and the validation part together.

    Nothing is measured: there is nothing left to measure on. `epochs`, those of the training before, are shown
    meanwhile. Raises `TrainingStopped`.
    """
    everything = np.concatenate([task.train, task.validation])
    loop = _Loop(classifier, replace(task, train=everything), config, context, progress, None)
    loop.train_state.epochs = list(epochs)
    for number in range(config.epochs):
        loop.train_epoch(number, REFITTING)


class _Loop:
    """The loop's parts while it runs."""

    def __init__(
        self,
        classifier: Classifier,
        task: Task,
        config: TrainConfig,
        context: RunContext,
        progress: Progress,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.classifier = _together(classifier, context)
        self.task, self.config, self.context, self.ranks = task, config, context, context.ranks
        self.progress, self.checkpoints = progress, checkpoints
        self.optimizer = make_optimizer(config, classifier.network, classifier.head)
        self.steps = max(1, math.ceil(len(task.train) / config.batch_size))
        self.rate = LearningRate(config, self.optimizer, self.steps)
        self.labels = torch.from_numpy(task.labels).to(context.device)
        train_labels = self.labels[torch.from_numpy(task.train).to(context.device)]
        self.weights = balancing_weights(train_labels, task.classes) if config.class_weights else None
        self.train_state = TrainState()
        on_gpu = context.device.type == "cuda"
        self.arithmetic = context.arithmetic
        self.arithmetic.lay_out(classifier)
        pays = on_gpu and context.compile and self.steps * config.epochs >= COMPILE_FROM
        forward: nn.Module = self.classifier
        if self.ranks.world_size > 1:
            forward = DistributedDataParallel(forward, device_ids=[context.device] if on_gpu else None)
        self.forward = torch.compile(forward, dynamic=task.source.lengths is not None) if pays else forward

    def resume(self) -> int:
        """Take over an earlier attempt's checkpoint; returns after which epoch, 0 for from the beginning."""
        found = self.checkpoints.load_training() if self.checkpoints else None
        self.ranks.wait()  # until all have read, before the first one keeps more
        if found is None:
            return 0
        kept, best = found
        self.classifier.restore(kept["state"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.train_state.epochs = [Epoch(**values) for values in kept["epochs"]]
        losses = [epoch.validation_loss for epoch in self.train_state.epochs]
        self.rate = LearningRate(self.config, self.optimizer, self.steps, losses)
        self.arithmetic = Arithmetic(**kept["arithmetic"])
        self.train_state.best, self.train_state.best_state = kept["best"], best["state"]
        self.train_state.seen, self.train_state.seconds = kept["seen"], kept["seconds"]
        return len(self.train_state.epochs)

    def run_epoch(self) -> None:
        """Train one epoch, validate, and keep a checkpoint."""
        number = len(self.train_state.epochs)
        crash_point("epoch.begin")
        train_loss, train_accuracy, rate = self.train_epoch(number, FITTING)
        logits = self.predict(self.task.validation)
        truth = self.labels[torch.from_numpy(self.task.validation).to(logits.device)]
        loss = functional.cross_entropy(logits, truth, label_smoothing=self.config.label_smoothing).item()
        accuracy = (logits.argmax(1) == truth).double().mean().item()
        if not math.isfinite(loss):
            raise TrainingError(
                f"After epoch {number + 1} the loss is no number any more: the learning rate "
                f"{self.config.learning_rate:g} is too high for this network. Try a tenth of it."
            )
        self.rate.epoch_ended(loss)
        is_best = loss < self.train_state.best_loss
        self.train_state.epochs.append(Epoch(number + 1, train_loss, train_accuracy, loss, accuracy, rate))
        if is_best:
            self.train_state.best, self.train_state.best_state = number + 1, self.classifier.trained_state()
        self._keep(is_best)
        self._tell(number, self.steps, train_loss, train_accuracy)

    def predict(self, rows: Rows) -> Tensor:
        """Return logits of examples, without augmentation."""
        self.classifier.eval()
        order = self.ranks.share(_in_order(rows, self.task.source.lengths))
        size = self.config.batch_size * VALIDATION_BATCHES
        logits = torch.zeros(len(rows), self.task.classes, device=self.context.device)
        # On a processor as the exported files will compute it; on a GPU that would take longer than an epoch.
        on_gpu = self.context.device.type == "cuda"
        with torch.inference_mode(), self._autocast() if on_gpu else contextlib.nullcontext():
            for start in range(0, len(order), size):
                self.progress.check()
                places = order[start : start + size]
                value, mask = self.task.source.batch(rows[places], self.context.device, None)
                logits[torch.from_numpy(places).to(logits.device)] = self.classifier(value, mask).float()
        return self.ranks.add_up(logits)

    def train_epoch(self, number: int, stage: int) -> tuple[float, float, float]:
        """Train an epoch; returns its mean loss, its accuracy and its last learning rate."""
        seed = _seed(self.context.seed, stage, number)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed + self.ranks.rank)  # dropout draws from torch's own
        self.classifier.train()
        device, rate = self.context.device, 0.0
        sums = torch.zeros(2, device=device)  # of losses, and of right answers, of this rank
        batches = _batches(self.task.train, self.task.source.lengths, self.steps, generator)
        seen, began, before = 0, time.monotonic(), self.train_state.seconds
        for step, (rows, (value, mask)) in enumerate(self._inputs(batches, generator)):
            if step == self.steps // 2:
                crash_point("epoch.middle")
            rate = self.rate.value
            losses, right = self._step(value, mask, rows)
            sums += torch.stack([losses * len(rows), right])
            seen += len(rows)
            self.train_state.seen += len(rows)
            self.train_state.seconds = before + time.monotonic() - began
            if self.progress.is_due():  # reading the sums makes a GPU wait
                mean_loss, accuracy = (
                    sums * self.ranks.world_size / seen
                ).tolist()  # as if all ranks' were alike
                self._tell(number, step + 1, mean_loss, accuracy)
        mean_loss, accuracy = (self.ranks.add_up(sums) / seen).tolist()
        return mean_loss, accuracy, rate

    def _step(self, value: Tensor, mask: Tensor | None, rows: Rows) -> tuple[Tensor, Tensor]:
        """Take a step on a batch, of which `value` is this rank's part; returns its loss and right answers.

        A batch's loss is the mean over all of it, wherever its parts are computed.
        """
        mine, counts = _part(rows, self.ranks)
        truth = self.labels[torch.from_numpy(mine).to(self.context.device)]
        with self._autocast():
            logits = self.forward(value, mask)
            losses = functional.cross_entropy(
                logits.float(),
                truth,
                weight=self.weights,
                label_smoothing=self.config.label_smoothing,
                reduction="sum",
            )
        loss = counts * losses / self._weight_of(rows)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.ranks.world_size).backward()  # type: ignore[no-untyped-call]  # gradients are averaged over the ranks
        if self.config.gradient_clipping:
            nn.utils.clip_grad_norm_(self.classifier.parameters(), self.config.gradient_clipping)
        self.optimizer.step()
        self.rate.step_taken()
        return loss.detach(), counts * (logits.detach().argmax(1) == truth).sum()

    def _weight_of(self, rows: Rows) -> Tensor | int:
        """Return what the examples of a batch weigh together."""
        if self.weights is None:
            return len(rows)
        return self.weights[self.labels[torch.from_numpy(rows).to(self.context.device)]].sum()

    def _inputs(self, batches: Sequence[Rows], generator: torch.Generator) -> Iterator[tuple[Rows, Inputs]]:
        """Yield batches with this rank's part; a GPU has the next made ready while it works on this one."""

        def make(rows: Rows) -> Inputs:
            mine, _ = _part(rows, self.ranks)
            start = self.ranks.rank if len(rows) > self.ranks.rank else 0
            draws = Draws(generator, len(rows), start, self.ranks.world_size)
            return self.task.source.batch(mine, self.context.device, draws)

        if self.context.device.type == "cpu":
            yield from ((rows, make(rows)) for rows in batches)
            return
        with ThreadPoolExecutor(1) as pool:  # one thread: draws keep their order
            coming = [pool.submit(make, rows) for rows in batches[:1]]
            for number, rows in enumerate(batches):
                ready = coming.pop().result()
                coming += [pool.submit(make, after) for after in batches[number + 1 : number + 2]]
                yield rows, ready

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        return self.arithmetic.autocast(self.context.device)

    def _keep(self, is_best: bool) -> None:
        if self.checkpoints is None or not self.checkpoints.enabled:
            return
        reached = self.train_state
        kept = {
            "state": self.classifier.trained_state(),
            "optimizer": self.optimizer.state_dict(),
            "epochs": [asdict(epoch) for epoch in reached.epochs],
            "best": reached.best,
            "arithmetic": asdict(self.arithmetic),
            "seen": reached.seen,
            "seconds": reached.seconds,
        }
        best = {"state": reached.best_state} if is_best else None
        self.checkpoints.save_training(kept, best, epoch=len(reached.epochs))

    def _tell(self, number: int, step: int, loss: float, accuracy: float) -> None:
        state, config = self.train_state, self.config
        done, total = number * self.steps + step, config.epochs * self.steps
        speed = state.seen / max(state.seconds, 1e-9)
        last = state.epochs[-1] if state.epochs else None
        metrics = RunningMetrics(
            epoch=number + 1,
            epochs=config.epochs,
            step=step,
            steps=self.steps,
            loss=round(loss, 4),
            accuracy=round(accuracy, 4),
            images_per_second=round(speed, 1) if self.context.unit == "images" else None,
            texts_per_second=round(speed, 1) if self.context.unit == "texts" else None,
            seconds_left=round((total - done) * config.batch_size / max(speed, 1e-9)),
            validation_loss=None if last is None else round(last.validation_loss, 4),
            validation_accuracy=None if last is None else round(last.validation_accuracy, 4),
            curve=tuple(epoch.shown() for epoch in state.epochs),
        )
        message = f"Epoch {number + 1} of {config.epochs}"
        if last is not None:
            message += f"; {100 * last.validation_accuracy:.1f} % validation accuracy so far"
        self.progress.tell(done, total, message, metrics)


def _together(classifier: Classifier, context: RunContext) -> Classifier:
    """Return the classifier on its device; on several GPUs its normalisations look at the whole batch."""
    if context.ranks.world_size > 1 and context.device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        classifier.network = convert_sync_batchnorm(classifier.network)
    return classifier.to(context.device)


def _part(rows: Rows, ranks: Distributed) -> tuple[Rows, int]:
    """Return a rank's part of a batch, and whether it counts: nobody may be without one, or all would wait."""
    mine = ranks.share(rows)
    return (mine, 1) if len(mine) else (rows[:1], 0)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def _in_order(rows: Rows, lengths: Sequence[int] | None) -> Rows:
    """Return places in `rows`, alike lengths together."""
    if lengths is None:
        return np.arange(len(rows))
    return np.argsort([lengths[row] for row in rows], kind="stable")


def _batches(rows: Rows, lengths: Sequence[int] | None, count: int, generator: torch.Generator) -> list[Rows]:
    """Return the rows in so many shuffled batches of nearly one size; of texts, each of alike lengths."""
    order = rows[torch.randperm(len(rows), generator=generator).numpy()]
    if lengths is None:
        return np.array_split(order, count)
    ends = np.cumsum([0, *(len(part) for part in np.array_split(order, count))])
    batches: list[Rows] = []
    for first in range(0, count, BUCKETS):
        bounds = ends[first : first + BUCKETS + 1]
        bucket = order[bounds[0] : bounds[-1]]
        batches += np.split(bucket[_in_order(bucket, lengths)], bounds[1:-1] - bounds[0])
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
