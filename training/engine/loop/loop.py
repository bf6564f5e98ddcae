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
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from ..events import Progress, TrainingError
from ..fault_injection import crash_point
from ..networks.stages import Network, State
from .augmentation import Draws
from .checkpoints import Checkpoints
from .distributed import ALONE, Ranks
from .inputs import Inputs, Rows, Source
from .optimization import LearningRate, Plan, balancing_weights, make_optimizer
from .precision import half_pays

BUCKETS = 32  # batches of texts among which alike lengths are gathered
VALIDATION_BATCHES = 4  # times the training's batch size; nothing is kept for a backward pass
FITTING, REFITTING = 0, 1  # stages of a training that draw differently
COMPILE_FROM = 2_000  # steps on a GPU, under which compiling costs more than it saves


class Trainee(nn.Module):
    """The stages of a network from `start` on, and its head; those before `cut` stay as they are."""

    def __init__(self, network: Network, head: nn.Linear, *, start: int, cut: int) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.start, self.cut = start, cut
        self.dropout = nn.Dropout(network.dropout)
        for stage in network.stages[:cut]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> "Trainee":
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

    def to_json(self) -> dict[str, Any]:
        """Return the epoch as plain data."""
        rounded = {name: float(f"{value:.6g}") for name, value in asdict(self).items()}
        return {**rounded, "epoch": self.epoch}


@dataclass(frozen=True)
class Task:
    """What is to be learnt: inputs, their classes' numbers, and which examples are for what."""

    source: Source
    labels: npt.NDArray[np.int64]
    classes: int
    train: Rows
    validation: Rows


@dataclass(frozen=True)
class Where:
    """Where and from what seed the loop runs; `unit` is what its speed counts, images or texts."""

    device: torch.device
    seed: int
    unit: str = "images"
    compile: bool = True
    ranks: Ranks = ALONE


@dataclass
class Fitted:
    """A finished training; the trainee has the weights of the best epoch, numbered from 1."""

    epochs: list[Epoch]
    best_epoch: int
    probabilities: npt.NDArray[np.float32]
    resumed_from_epoch: int
    examples_per_second: float


@dataclass
class _Course:
    """How far a training is: all that a checkpoint keeps beside weights."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    best_state: State = field(default_factory=dict)
    seen: int = 0
    seconds: float = 0.0

    @property
    def best_loss(self) -> float:
        return self.epochs[self.best - 1].validation_loss if self.best else math.inf

    def is_over(self, plan: Plan) -> bool:
        epochs = len(self.epochs)
        return epochs >= plan.epochs or bool(
            plan.early_stopping and epochs - self.best >= plan.early_stopping
        )


def fit(
    trainee: Trainee, task: Task, plan: Plan, where: Where, *, progress: Progress, checkpoints: Checkpoints
) -> Fitted:
    """Train as planned and go back to the epoch with the least validation loss.

    That loss is smoothed as the training's is: a network that was taught to be unsure would else seem
    to become worse while it becomes better.

    Raises `TrainingError` when the loss is no number any more, `TrainingStopped`.
    """
    loop = _Loop(trainee, task, plan, where, progress, checkpoints)
    resumed = loop.resume()
    crash_point("train.begin")
    while not loop.course.is_over(plan):
        loop.run_epoch()
    trainee.restore(loop.course.best_state)
    probabilities = loop.predict(task.validation).softmax(-1).cpu().numpy()
    crash_point("train.done")
    course = loop.course
    return Fitted(course.epochs, course.best, probabilities, resumed, course.seen / max(course.seconds, 1e-9))


def refit(
    trainee: Trainee, task: Task, plan: Plan, where: Where, *, progress: Progress, fitted: Fitted
) -> None:
    """Train for the plan's epochs on the training and the validation part together.

    Nothing is measured: there is nothing left to measure on. Raises `TrainingStopped`.
    """
    everything = np.concatenate([task.train, task.validation])
    loop = _Loop(trainee, replace(task, train=everything), plan, where, progress, None)
    loop.course.epochs = fitted.epochs  # for those who watch
    for number in range(plan.epochs):
        loop.train_epoch(number, REFITTING)


class _Loop:
    """The loop's parts while it runs."""

    def __init__(
        self,
        trainee: Trainee,
        task: Task,
        plan: Plan,
        where: Where,
        progress: Progress,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.trainee = _together(trainee, where)
        self.task, self.plan, self.where, self.ranks = task, plan, where, where.ranks
        self.progress, self.checkpoints = progress, checkpoints
        self.optimizer = make_optimizer(plan, trainee.network, trainee.head)
        self.steps = max(1, math.ceil(len(task.train) / plan.batch_size))
        self.rate = LearningRate(plan, self.steps)
        self.labels = torch.from_numpy(task.labels).to(where.device)
        train_labels = self.labels[torch.from_numpy(task.train).to(where.device)]
        self.weights = balancing_weights(train_labels, task.classes) if plan.class_weights else None
        self.course = _Course()
        on_gpu = where.device.type == "cuda"
        trained = nn.ModuleList([*trainee.network.stages[trainee.cut :], trainee.head])
        self.half = plan.mixed_precision and half_pays(where.device, trained)
        pays = on_gpu and where.compile and self.steps * plan.epochs >= COMPILE_FROM
        forward: nn.Module = self.trainee
        if self.ranks.count > 1:
            forward = DistributedDataParallel(forward, device_ids=[where.device] if on_gpu else None)
        self.forward = torch.compile(forward, dynamic=task.source.lengths is not None) if pays else forward

    def resume(self) -> int:
        """Take over an earlier attempt's checkpoint; returns after which epoch, 0 for from the beginning."""
        found = self.checkpoints.load_training() if self.checkpoints else None
        self.ranks.wait()  # until all have read, before the first one keeps more
        if found is None:
            return 0
        kept, best = found
        self.trainee.restore(kept["state"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.rate.restore(kept["rate"])
        self.course.epochs = [Epoch(**values) for values in kept["epochs"]]
        self.course.best, self.course.best_state = kept["best"], best["state"]
        self.course.seen, self.course.seconds = kept["seen"], kept["seconds"]
        return len(self.course.epochs)

    def run_epoch(self) -> None:
        """Train one epoch, validate, and keep a checkpoint."""
        number = len(self.course.epochs)
        crash_point("epoch.begin")
        train_loss, train_accuracy, rate = self.train_epoch(number, FITTING)
        logits = self.predict(self.task.validation)
        truth = self.labels[torch.from_numpy(self.task.validation).to(logits.device)]
        loss = functional.cross_entropy(logits, truth, label_smoothing=self.plan.label_smoothing).item()
        accuracy = (logits.argmax(1) == truth).double().mean().item()
        if not math.isfinite(loss):
            raise TrainingError(
                f"After epoch {number + 1} the loss is no number any more: the learning rate "
                f"{self.plan.learning_rate:g} is too high for this network. Try a tenth of it."
            )
        self.rate.epoch_ended(loss)
        is_best = loss < self.course.best_loss
        self.course.epochs.append(Epoch(number + 1, train_loss, train_accuracy, loss, accuracy, rate))
        if is_best:
            self.course.best, self.course.best_state = number + 1, self.trainee.trained_state()
        self._keep(is_best)
        self._tell(number, self.steps, train_loss, train_accuracy)

    def predict(self, rows: Rows) -> Tensor:
        """Return logits of examples, without augmentation."""
        self.trainee.eval()
        order = self.ranks.share(_in_order(rows, self.task.source.lengths))
        size = self.plan.batch_size * VALIDATION_BATCHES
        logits = torch.zeros(len(rows), self.task.classes, device=self.where.device)
        # On a processor as the exported files will compute it; on a GPU that would take longer than an epoch.
        precision = self._precision() if self.where.device.type == "cuda" else contextlib.nullcontext()
        with torch.inference_mode(), precision:
            for start in range(0, len(order), size):
                self.progress.check()
                places = order[start : start + size]
                value, mask = self.task.source.batch(rows[places], self.where.device, None)
                logits[torch.from_numpy(places).to(logits.device)] = self.trainee(value, mask).float()
        return self.ranks.add_up(logits)

    def train_epoch(self, number: int, stage: int) -> tuple[float, float, float]:
        """Train an epoch; returns its mean loss, its accuracy and its last learning rate."""
        seed = _seed(self.where.seed, stage, number)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed + self.ranks.number)  # dropout draws from torch's own
        self.trainee.train()
        device, rate = self.where.device, 0.0
        sums = torch.zeros(2, device=device)  # of losses, and of right answers, of this rank
        batches = _batches(self.task.train, self.task.source.lengths, self.steps, generator)
        seen, began, before = 0, time.monotonic(), self.course.seconds
        for step, (rows, (value, mask)) in enumerate(self._inputs(batches, generator)):
            if step == self.steps // 2:
                crash_point("epoch.middle")
            rate = self._set_rate(number * self.steps + step)
            losses, right = self._step(value, mask, rows)
            sums += torch.stack([losses * len(rows), right])
            seen += len(rows)
            self.course.seen += len(rows)
            self.course.seconds = before + time.monotonic() - began
            if self.progress.is_due():  # reading the sums makes a GPU wait
                mean_loss, accuracy = (sums * self.ranks.count / seen).tolist()  # as if all ranks' were alike
                self._tell(number, step + 1, mean_loss, accuracy)
        mean_loss, accuracy = (self.ranks.add_up(sums) / seen).tolist()
        return mean_loss, accuracy, rate

    def _step(self, value: Tensor, mask: Tensor | None, rows: Rows) -> tuple[Tensor, Tensor]:
        """Take a step on a batch, of which `value` is this rank's part; returns its loss and right answers.

        A batch's loss is the mean over all of it, wherever its parts are computed.
        """
        mine, counts = _part(rows, self.ranks)
        truth = self.labels[torch.from_numpy(mine).to(self.where.device)]
        with self._precision():
            logits = self.forward(value, mask)
            losses = functional.cross_entropy(
                logits.float(),
                truth,
                weight=self.weights,
                label_smoothing=self.plan.label_smoothing,
                reduction="sum",
            )
        loss = counts * losses / self._weight_of(rows)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.ranks.count).backward()  # type: ignore[no-untyped-call]  # gradients are averaged over the ranks
        if self.plan.gradient_clipping:
            nn.utils.clip_grad_norm_(self.trainee.parameters(), self.plan.gradient_clipping)
        self.optimizer.step()
        return loss.detach(), counts * (logits.detach().argmax(1) == truth).sum()

    def _weight_of(self, rows: Rows) -> Tensor | int:
        """Return what the examples of a batch weigh together."""
        if self.weights is None:
            return len(rows)
        return self.weights[self.labels[torch.from_numpy(rows).to(self.where.device)]].sum()

    def _inputs(self, batches: Sequence[Rows], generator: torch.Generator) -> Iterator[tuple[Rows, Inputs]]:
        """Yield batches with this rank's part; a GPU has the next made ready while it works on this one."""

        def make(rows: Rows) -> Inputs:
            mine, _ = _part(rows, self.ranks)
            start = self.ranks.number if len(rows) > self.ranks.number else 0
            draws = Draws(generator, len(rows), start, self.ranks.count)
            return self.task.source.batch(mine, self.where.device, draws)

        if self.where.device.type == "cpu":
            yield from ((rows, make(rows)) for rows in batches)
            return
        with ThreadPoolExecutor(1) as pool:  # one thread: draws keep their order
            coming = [pool.submit(make, rows) for rows in batches[:1]]
            for number, rows in enumerate(batches):
                ready = coming.pop().result()
                coming += [pool.submit(make, after) for after in batches[number + 1 : number + 2]]
                yield rows, ready

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        kind = self.where.device.type
        return torch.autocast(kind, torch.bfloat16) if self.half else contextlib.nullcontext()

    def _set_rate(self, step: int) -> float:
        rate = self.rate.at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        return rate

    def _keep(self, is_best: bool) -> None:
        if self.checkpoints is None or not self.checkpoints.enabled:
            return
        course = self.course
        state = {
            "state": self.trainee.trained_state(),
            "optimizer": self.optimizer.state_dict(),
            "rate": self.rate.state(),
            "epochs": [asdict(epoch) for epoch in course.epochs],
            "best": course.best,
            "seen": course.seen,
            "seconds": course.seconds,
        }
        best = {"state": course.best_state} if is_best else None
        self.checkpoints.save_training(state, best, epoch=len(course.epochs))

    def _tell(self, number: int, step: int, loss: float, accuracy: float) -> None:
        course, plan = self.course, self.plan
        done, total = number * self.steps + step, plan.epochs * self.steps
        speed = course.seen / max(course.seconds, 1e-9)
        metrics: dict[str, Any] = {
            "epoch": number + 1,
            "epochs": plan.epochs,
            "step": step,
            "steps": self.steps,
            "loss": round(loss, 4),
            "accuracy": round(accuracy, 4),
            f"{self.where.unit}_per_second": round(speed, 1),
            "seconds_left": round((total - done) * plan.batch_size / max(speed, 1e-9)),
            "curve": [epoch.to_json() for epoch in course.epochs],
        }
        message = f"Epoch {number + 1} of {plan.epochs}"
        if course.epochs:
            last = course.epochs[-1]
            metrics["validation_loss"] = round(last.validation_loss, 4)
            metrics["validation_accuracy"] = round(last.validation_accuracy, 4)
            message += f"; {100 * last.validation_accuracy:.1f} % of the validation part right so far"
        self.progress.tell(done, total, message, metrics)


def _together(trainee: Trainee, where: Where) -> Trainee:
    """Return the trainee on its device; on several GPUs its normalisations look at the whole batch."""
    if where.ranks.count > 1 and where.device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        trainee.network = convert_sync_batchnorm(trainee.network)
    return trainee.to(where.device)


def _part(rows: Rows, ranks: Ranks) -> tuple[Rows, int]:
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
