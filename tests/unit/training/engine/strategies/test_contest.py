import dataclasses

import numpy as np
import pytest

from training.engine.events import ProgressEvent, TrainingError
from training.engine.loop.loop import Epoch
from training.engine.specs.hyperparameters import TrainConfig
from training.engine.strategies import contest
from training.engine.strategies.best import chosen_by_others
from training.engine.strategies.contest import (
    Answer,
    Clock,
    Contest,
    Recipe,
    best_epoch,
    by_loss,
    fewest_epochs,
    rounds_of,
)

LABELS = np.arange(400) % 2
SLOW = 7  # a cut of which it takes a minute to make the input ready
CONFIG = TrainConfig("adamw", 1e-3, 32, 1)
EPOCH = Epoch(1, 0.5, 0.8, 0.4, 0.9, 1e-3)


def recipe(name: str, cut: int = 0) -> Recipe:
    return Recipe(name, cut, CONFIG)


def answers_of(right: float) -> np.ndarray:
    """Probabilities that are right on the first examples, as many as that share says."""
    hits = np.arange(len(LABELS)) < right * len(LABELS)
    chosen = np.where(hits, LABELS, 1 - LABELS)
    rows = np.full((len(LABELS), 2), 0.2, np.float32)
    rows[np.arange(len(LABELS)), chosen] = 0.8
    return rows


class Bench:
    """Recipes that are as good as their name says, in per cent, on a clock that stands still.

    All but "50" gain from further epochs.
    """

    def __init__(self, left: float, known: dict[str, dict[str, object]] | None = None) -> None:
        self.left = left
        self.trained: list[str] = []
        self.kept: list[Answer] = []
        self.contest = Contest(
            self,  # type: ignore[arg-type]
            LABELS,
            train=self.train,
            prepare_seconds=lambda one: float(one.cut == SLOW) * 60,
            epoch_seconds=lambda one: float(one.cut),
            publish_seconds=lambda one, each: one.config.epochs * each,
            keep=self.kept.append,
            known=known or {},
        )

    def train(self, one: Recipe) -> tuple[np.ndarray, list[Epoch]]:
        self.trained.append(one.title)
        if one.name == "hopeless":
            raise TrainingError("The loss is no number any more.")
        gain = 0 if one.name == "50" else one.config.epochs / 1000
        return answers_of(int(one.name) / 100 + gain), [EPOCH] * one.config.epochs


def test_better_half_goes_on_with_more_epochs() -> None:
    bench = Bench(left=1e9)
    bench.contest.run([recipe(name) for name in ("60", "90", "70", "80")], rounds=(2, 4, 8))
    counts = [title.partition(" at ")[0] for title in bench.trained]
    assert counts == [
        *("60, 2 epochs", "90, 2 epochs", "70, 2 epochs", "80, 2 epochs"),
        *("90, 4 epochs", "80, 4 epochs"),
        "90, 8 epochs",
    ]
    assert by_loss(bench.contest.answers, LABELS)[0].recipe.name == "90"
    assert bench.kept == bench.contest.answers


@pytest.mark.parametrize(("steps", "epochs"), [(2_800, 1), (280, 1), (149, 2), (17, 9), (1, 48)])
def test_fewest_epochs_make_steps_enough(steps: int, epochs: int) -> None:
    assert fewest_epochs(steps) == epochs


@pytest.mark.parametrize(
    ("steps", "rounds"),
    [(281, [3, 6, 12, 24, 48, 96]), (17, [9, 18, 36, 72]), (1, [48, 96])],
)
def test_first_round_has_steps_enough_to_tell_ways_apart(steps: int, rounds: list[int]) -> None:
    assert rounds_of(steps) == rounds


def test_who_does_not_gain_from_twice_the_epochs_does_not_go_on() -> None:
    bench = Bench(left=1e9)
    bench.contest.run([recipe("50")], rounds=(3, 6, 12))
    assert [title.partition(" at ")[0] for title in bench.trained] == ["50, 3 epochs", "50, 6 epochs"]


def test_what_there_is_no_time_for_is_not_begun() -> None:
    bench = Bench(left=10)
    bench.contest.run([recipe("70", cut=1), recipe("90", cut=100)], rounds=(2,))
    assert [title[:2] for title in bench.trained] == ["70"], (
        "90 would take 200 seconds, and as many to publish"
    )


def test_new_way_takes_most_of_the_time_only_where_it_is_the_only_one() -> None:
    """Of 100 seconds, as many are kept to publish as a training takes."""
    alone = Bench(left=100)
    alone.contest.run([recipe("90", cut=24)], rounds=(2,))
    assert [title[:2] for title in alone.trained] == ["90"]
    for cut, names in ((17, ["70", "90"]), (16, ["70", "90", "80"])):
        bench = Bench(left=100)
        bench.contest.run([recipe("70", cut=1), recipe("90", cut=8), recipe("80", cut=cut)], rounds=(2,))
        assert [title[:2] for title in bench.trained] == names


def test_way_that_is_known_may_take_all_of_the_time() -> None:
    bench = Bench(left=100)
    bench.contest.run([recipe("70", cut=1), recipe("90", cut=10)], rounds=(2, 4))
    bench.contest.run([dataclasses.replace(recipe("90", cut=10), draw=2)], rounds=(5,))
    assert [title.partition(" at ")[0] for title in bench.trained] == [
        *("70, 2 epochs", "90, 2 epochs", "90, 4 epochs"),
        "90, 5 epochs",
    ]


def test_input_is_not_made_ready_when_that_takes_most_of_the_time() -> None:
    for left, trained in ((119, 0), (121, 1)):
        bench = Bench(left=left)
        bench.contest.run([recipe("70", cut=SLOW)], rounds=(2,))
        assert len(bench.trained) == trained


def test_training_ends_with_the_time_unless_it_may_end_later() -> None:
    whole, clock = contest.Progress(lambda _: None, lambda: False), Clock(60, spent=61)
    with pytest.raises(contest.OutOfTime, match="last stages"):
        contest.Announced(whole, clock, "last stages").tell(1, 2)
    contest.Announced(whole, clock, "last stages", may_end_later=True).tell(1, 2)


def test_training_that_breaks_ends_one_recipe_only() -> None:
    bench = Bench(left=1e9)
    bench.contest.run([recipe("hopeless"), recipe("70")], rounds=(2,))
    assert [one.recipe.name for one in bench.contest.answers] == ["70"]


def test_later_attempt_trains_nothing_twice() -> None:
    first = Bench(left=1e9)
    first.contest.run([recipe("60"), recipe("90")], rounds=(2, 4))
    known = {one.recipe.title: one.to_tensors() for one in first.kept[:2]}
    again = Bench(left=1e9, known=known)
    again.contest.run([recipe("60"), recipe("90")], rounds=(2, 4))
    assert again.trained == first.trained[2:]
    assert [one.recipe for one in again.contest.answers] == [one.recipe for one in first.contest.answers]
    np.testing.assert_array_equal(
        again.contest.answers[0].probabilities, first.contest.answers[0].probabilities
    )
    assert again.kept == again.contest.answers, "a third attempt would know them as well"


def test_clock_counts_what_earlier_attempts_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest.time, "monotonic", lambda: 1000.0)
    clock = Clock(60, spent=45)
    monkeypatch.setattr(contest.time, "monotonic", lambda: 1005.0)
    assert clock.spent == 50
    assert clock.left == 10
    monkeypatch.setattr(contest.time, "monotonic", lambda: 1100.0)
    assert clock.left == 0


def test_progress_is_that_of_the_time() -> None:
    told: list[ProgressEvent] = []
    whole = contest.Progress(told.append, lambda: False)  # type: ignore[arg-type]
    shown = contest.Announced(whole, Clock(60, spent=20), "last stages")
    shown.tell(3, 4, "Epoch 1 of 2")
    assert (told[0].done, told[0].total) == (20, 61), "it is not over before the time is"
    assert told[0].message == "last stages: Epoch 1 of 2"
    assert told[0].metrics.seconds_left == 40


def test_best_epoch_has_the_least_loss() -> None:
    curve = [
        dataclasses.replace(EPOCH, epoch=1 + place, validation_loss=loss)
        for place, loss in enumerate([3, 1, 2])
    ]
    assert best_epoch(curve) == 2


def test_best_of_many_by_chance_is_not_shown_as_better() -> None:
    draws = np.random.default_rng(0).random((60, len(LABELS)))
    tried = [np.stack([draw, 1 - draw], 1).astype(np.float32) for draw in draws]
    right = [float((one.argmax(1) == LABELS).mean()) for one in tried]
    assert max(right) > 0.55
    shown = chosen_by_others(tried, LABELS, range(len(LABELS)), seed=1)
    assert abs(float((shown.argmax(1) == LABELS).mean()) - 0.5) < 0.05


def test_what_is_better_for_all_is_chosen_for_all() -> None:
    spread = np.random.default_rng(0).permutation(len(LABELS))
    good, poor = np.empty((len(LABELS), 2), np.float32), np.empty((len(LABELS), 2), np.float32)
    for target, share in ((good, 0.95), (poor, 0.6)):
        hits = spread < share * len(LABELS)
        target[np.arange(len(LABELS)), np.where(hits, LABELS, 1 - LABELS)] = 0.9
        target[np.arange(len(LABELS)), np.where(hits, 1 - LABELS, LABELS)] = 0.1
    np.testing.assert_array_equal(chosen_by_others([poor, good], LABELS, range(len(LABELS)), seed=0), good)
