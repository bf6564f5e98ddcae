import pytest

from training.engine.specs.strategies import STRATEGIES
from training.jobs.phases import steps_of, where_it_goes_on
from training.jobs.progress import JobProgress


def states(state: str, row: dict[str, object]) -> dict[str, str]:
    return {step.name: step.state for step in steps_of(state, JobProgress.from_json(row))}


def test_running_job_shows_what_is_done_current_and_ahead() -> None:
    found = states("running", {"phase": "features", "done": 3, "total": 12})
    assert found == {
        **dict.fromkeys(("queued", "fetch", "prepare"), "done"),
        "features": "current",
        **dict.fromkeys(("fit", "export", "verify", "publish"), "ahead"),
    }


def test_current_step_counts_only_when_there_is_a_total() -> None:
    counted = steps_of("running", JobProgress("features", 0, 12))[3]
    assert (counted.counts, counted.done, counted.total) == (True, 0, 12)
    assert not steps_of("running", JobProgress("fit"))[4].counts


@pytest.mark.parametrize(
    ("phase", "shown"), [("claimed", "fetch"), ("something new", "fetch"), ("publish", "publish")]
)
def test_phases_of_the_worker_stand_for_a_step(phase: str, shown: str) -> None:
    assert states("running", {"phase": phase})[shown] == "current"


def test_succeeded_job_has_every_step_done_with_its_seconds() -> None:
    steps = steps_of("succeeded", JobProgress("done", phase_seconds={"fit": 0.6}))
    assert {step.state for step in steps} == {"done"}
    assert {step.name: step.seconds for step in steps}["fit"] == 0.6


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_job_that_ended_early_shows_where(state: str) -> None:
    found = states(state, {"phase": "fit"})
    assert (found["features"], found["fit"], found["export"]) == ("done", "failed", "ahead")


def test_job_that_waits_again_starts_at_the_queue() -> None:
    assert states("queued", {"phase": "features"})["queued"] == "current"


def test_progress_without_anything_is_fine() -> None:
    for state in ("queued", "running", "cancelling", "succeeded", "failed", "cancelled"):
        for strategy in STRATEGIES.values():
            names = [step.name for step in steps_of(state, JobProgress(), strategy.name)]
            assert names == [phase.name for phase in strategy.all_phases]


def test_strategies_have_the_steps_that_they_take() -> None:
    names = [step.name for step in steps_of("running", JobProgress("train"), "scratch")]
    assert names == ["queued", "fetch", "prepare", "train", "export", "verify", "publish"]
    assert "train" not in [step.name for step in steps_of("running", JobProgress(), "frozen")]


def test_phase_that_a_strategy_does_not_usually_have_is_shown_when_it_comes() -> None:
    assert {step.name: step.state for step in steps_of("running", JobProgress("fit"), "scratch")}[
        "fit"
    ] == "current"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, ""),
        ({"metrics": {"epoch": 4, "epochs": 10}}, ""),
        ({"checkpoint": {"epoch": 0}, "metrics": {"epochs": 10}}, ""),
        ({"checkpoint": {"epoch": 3}, "metrics": {"epoch": 4, "epochs": 10}}, " at epoch 3 of 10"),
        ({"checkpoint": {"epoch": 3}}, " after epoch 3"),
    ],
)
def test_where_a_job_goes_on_is_its_last_checkpoint(row: dict[str, object], words: str) -> None:
    assert where_it_goes_on(JobProgress.from_json(row)) == words
