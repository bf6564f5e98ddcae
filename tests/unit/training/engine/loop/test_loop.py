import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.engine.events import Event, Progress, ProgressEvent, TrainingError, TrainingStopped
from training.engine.loop.augmentation import Draws
from training.engine.loop.checkpoints import Checkpoints
from training.engine.loop.inputs import Inputs, Rows, Source
from training.engine.loop.loop import Classifier, Fitted, RunContext, Task, _batches, fit, refit
from training.engine.networks.stages import Network
from training.engine.request import TrainingRequest
from training.engine.specs.hyperparameters import TrainConfig

CPU = RunContext(torch.device("cpu"), seed=0)
CONFIG = TrainConfig("adam", 0.03, 8, 6, one_cycle=True)


class Layer(nn.Module):
    """A stage as networks have them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, value: Tensor, mask: Tensor | None) -> Tensor:
        return self.layers(value)


@dataclasses.dataclass(frozen=True)
class Points(Source):
    """Points of the plane; those for training are moved a little."""

    values: Tensor

    def batch(self, indices: Rows, device: torch.device, draws: Draws | None) -> Inputs:
        chosen = self.values[torch.from_numpy(indices)]
        return chosen if draws is None else chosen + 0.01 * torch.randn(
            chosen.shape, generator=draws.generator
        ), None

    def only(self, kept: Rows) -> "Points":
        return Points(self.values[torch.from_numpy(kept)])


def classifier(cut: int = 0, start: int = 0) -> Classifier:
    torch.manual_seed(1)
    stages = [
        Layer(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU()),
        Layer(nn.Dropout(0.2), nn.Linear(16, 8)),
    ]
    return Classifier(Network(stages, last_cut=1), nn.Linear(8, 3), start=start, cut=cut)


def task(count: int = 90, noise: float = 0.2) -> Task:
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(count) % 3
    centres = torch.tensor([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    values = centres[labels] + noise * torch.randn(count, 2, generator=generator)
    rows = np.arange(count)
    return Task(Points(values), labels.numpy(), 3, rows[: count * 2 // 3], rows[count * 2 // 3 :])


class Watched:
    """A run of the loop and what it told."""

    def __init__(
        self,
        *,
        config: TrainConfig = CONFIG,
        context: RunContext = CPU,
        cut: int = 0,
        given: Task | None = None,
    ) -> None:
        self.events: list[Event] = []
        progress = Progress(self.events.append, lambda: False)
        progress.enter("train", "")
        self.classifier = classifier(cut)
        request = TrainingRequest("t", "n", "", "", "", "", "", {}, "", "")
        self.fitted: Fitted = fit(
            self.classifier,
            given or task(),
            config,
            context,
            progress=progress,
            checkpoints=Checkpoints(request, progress),
        )


def test_loop_learns() -> None:
    fitted = Watched().fitted
    assert fitted.epochs[fitted.best_epoch - 1].validation_accuracy > 0.95
    assert fitted.probabilities.shape == (30, 3)
    np.testing.assert_allclose(fitted.probabilities.sum(1), 1, atol=1e-5)


def test_same_seed_gives_the_same_weights_and_another_others() -> None:
    first, again = (Watched().classifier.trained_state() for _ in range(2))
    other = Watched(context=dataclasses.replace(CPU, seed=1)).classifier.trained_state()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_best_epoch_is_the_one_with_the_least_validation_loss_and_its_weights_are_back() -> None:
    """A rate far too high makes later epochs worse."""
    watched = Watched(config=TrainConfig("sgd", 0.1, 8, 8), given=task(noise=1.0))
    losses = [epoch.validation_loss for epoch in watched.fitted.epochs]
    assert watched.fitted.best_epoch == 1 + losses.index(min(losses))
    given = task(noise=1.0)
    watched.classifier.eval()
    with torch.inference_mode():
        value, mask = given.source.batch(given.validation, CPU.device, None)
        found = watched.classifier(value, mask).softmax(1).numpy()
    np.testing.assert_allclose(found, watched.fitted.probabilities, atol=1e-6)


def test_early_stopping_ends_after_epochs_without_a_better_one() -> None:
    fitted = Watched(config=TrainConfig("sgd", 0.5, 8, 40, early_stopping=2), given=task(noise=1.0)).fitted
    assert len(fitted.epochs) == fitted.best_epoch + 2 < 40


def test_frozen_stages_stay_as_they_are() -> None:
    before = classifier().network.stages[0].state_dict()
    before = {name: value.clone() for name, value in before.items()}
    watched = Watched(cut=1)
    after = watched.classifier.network.stages[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(classifier().network.stages[1].layers[1].weight, after_weight(watched))
    assert all("stages.0" not in name for name in watched.classifier.trained_state())


def after_weight(watched: Watched) -> Tensor:
    return watched.classifier.network.stages[1].layers[1].weight


def test_class_weights_help_a_rare_class() -> None:
    everything = task(300, noise=0.9)
    rare = np.flatnonzero(everything.labels[:200] == 0)[:4]
    kept = np.concatenate([rare, np.flatnonzero(everything.labels[:200] != 0)])
    given = dataclasses.replace(everything, train=kept)
    truth = given.labels[given.validation]
    recall = []
    for weights in (False, True):
        guesses = Watched(
            config=dataclasses.replace(CONFIG, class_weights=weights), given=given
        ).fitted.probabilities
        recall.append((guesses.argmax(1)[truth == 0] == 0).mean())
    assert recall[1] > recall[0]


def test_loss_that_is_no_number_names_the_learning_rate() -> None:
    with pytest.raises(TrainingError, match="learning rate 10 is too high"):
        Watched(config=TrainConfig("sgd", 10.0, 2, 50), given=task(noise=1e18))


def test_clipping_bounds_a_step() -> None:
    start = classifier().trained_state()
    config = TrainConfig("sgd", 1.0, 60, 1, gradient_clipping=1e-3)
    end = Watched(config=config).classifier.trained_state()
    moved = sum(
        (end[name] - start[name]).square().sum()
        for name in start
        if "running" not in name and "num" not in name
    )
    assert 0 < moved.sqrt() <= 1.01e-3


def test_progress_tells_what_the_page_shows() -> None:
    events = [event for event in Watched().events if isinstance(event, ProgressEvent)]
    last = events[-1]
    assert last.done == last.total == 6 * 8
    assert last.metrics.epoch == last.metrics.epochs == 6
    assert last.metrics.seconds_left == 0
    assert set(last.metrics.to_json()) == {
        *("epoch", "epochs", "step", "steps", "loss", "accuracy", "images_per_second", "seconds_left"),
        *("validation_loss", "validation_accuracy", "curve"),
    }
    assert last.metrics.curve is not None
    assert [point.epoch for point in last.metrics.curve] == [1, 2, 3, 4, 5, 6]
    assert all(value is not None for point in last.metrics.curve for value in vars(point).values())


def test_wish_to_stop_is_heard_within_an_epoch() -> None:
    calls = itertools.count()
    progress = Progress(lambda _: None, lambda: next(calls) > 20)
    request = TrainingRequest("t", "n", "", "", "", "", "", {}, "", "")
    with pytest.raises(TrainingStopped):
        fit(
            classifier(),
            task(3000),
            dataclasses.replace(CONFIG, epochs=10_000),
            CPU,
            progress=progress,
            checkpoints=Checkpoints(request, progress),
        )


def test_refit_goes_on_with_all_examples() -> None:
    given, watched = task(), Watched()
    before = watched.classifier.trained_state()
    progress = Progress(lambda _: None, lambda: False)
    again = [watched.classifier, Watched().classifier]
    for one in again:
        refit(
            one,
            given,
            dataclasses.replace(CONFIG, epochs=2),
            CPU,
            progress=progress,
            epochs=watched.fitted.epochs,
        )
    first, second = (one.trained_state() for one in again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], before[name]) for name in first)


@pytest.mark.parametrize("lengths", [None, [1 + 7 * n % 50 for n in range(203)]])
@pytest.mark.parametrize("count", [1, 7, 40, 203])
def test_batches_hold_every_example_once(lengths: Sequence[int] | None, count: int) -> None:
    rows = np.arange(3, 203)[: max(count, 200)]
    count = min(count, len(rows))
    batches = _batches(rows, lengths, count, torch.Generator().manual_seed(0))
    assert len(batches) == count
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    assert max(map(len, batches)) - min(map(len, batches)) <= 1


def test_texts_of_alike_lengths_come_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1024).tolist()
    batches = _batches(np.arange(1024), lengths, 32, torch.Generator().manual_seed(0))
    padding = sum(max(lengths[row] for row in batch) * len(batch) for batch in batches) / sum(lengths)
    assert padding < 1.1
