import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine.events import EpochMetrics, ProgressEvent, RunningMetrics
from training.jobs.progress import JobProgress

COUNTS = st.none() | st.integers(0, 1 << 40)
PROGRESS = st.builds(
    JobProgress,
    phase=st.text(max_size=8),
    done=COUNTS,
    total=COUNTS,
    message=st.text(max_size=8),
    metrics=st.none() | st.builds(RunningMetrics, epoch=COUNTS, epochs=COUNTS),
    checkpoint_epoch=COUNTS,
    phase_seconds=st.none() | st.dictionaries(st.text(max_size=4), st.floats(0, 1e6), max_size=3),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
KEYS = ("phase", "done", "total", "message", "metrics", "checkpoint", "phase_seconds", "of another release")
# Every shape that releases so far have written.
ROWS = [
    {},
    {"phase": "queued", "message": "Its data is being checked first."},
    {"phase": "claimed", "metrics": {"epoch": 3}, "checkpoint": {"epoch": 3}},
    {"phase": "fetch", "message": "Fetching the data set"},
    {"phase": "features", "done": 3, "total": 12, "message": "3 of 12 examples", "metrics": {}},
    {
        "phase": "fit",
        "done": 1,
        "total": 12,
        "message": "90.0 % validation accuracy",
        "metrics": {
            "strength": 0.1,
            "train_accuracy": 0.9,
            "validation_accuracy": 0.9,
            "train_loss": 0.5,
            "validation_loss": 0.6,
        },
        "checkpoint": {"epoch": 0},
    },
    {
        "phase": "train",
        "done": 30,
        "total": 80,
        "message": "Epoch 3 of 8",
        "metrics": {
            "epoch": 3,
            "epochs": 8,
            "step": 10,
            "steps": 10,
            "loss": 0.4,
            "accuracy": 0.9,
            "texts_per_second": 1234.5,
            "seconds_left": 5,
            "curve": [
                {
                    "epoch": 1,
                    "train_loss": 0.5,
                    "train_accuracy": 0.8,
                    "validation_loss": 0.6,
                    "validation_accuracy": 0.7,
                    "learning_rate": 0.001,
                }
            ],
            "validation_loss": 0.6,
            "validation_accuracy": 0.7,
        },
        "checkpoint": {"epoch": 2},
    },
    {"phase": "done", "phase_seconds": {"fetch": 0.5, "fit": 1.25, "publish": 0.1}},
]


@given(PROGRESS)
def test_progress_is_read_as_it_was_written(progress: JobProgress) -> None:
    assert JobProgress.from_json(json.loads(json.dumps(progress.to_json()))) == progress


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.get("phase", "new"))
def test_rows_of_a_platform_in_use_stay_as_they_are(row: dict[str, Any]) -> None:
    assert JobProgress.from_json(row).to_json() == row


@given(ANYTHING | st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_any_row_can_be_read(row: object) -> None:
    progress = JobProgress.from_json(row)
    assert JobProgress.from_json(progress.to_json()) == progress


def test_event_of_the_trainer_becomes_the_progress_of_its_job() -> None:
    metrics = RunningMetrics(epoch=1, curve=(EpochMetrics(1, 0.5),))
    progress = JobProgress.of_event(ProgressEvent("train", 3, 10, "Epoch 1", metrics), 2)
    assert progress.to_json() == {
        "phase": "train",
        "done": 3,
        "total": 10,
        "message": "Epoch 1",
        "metrics": {"epoch": 1, "curve": [{"epoch": 1, "train_loss": 0.5}]},
        "checkpoint": {"epoch": 2},
    }
    assert progress.kept("queued", "Again").to_json() == {
        "phase": "queued",
        "message": "Again",
        "metrics": {"epoch": 1, "curve": [{"epoch": 1, "train_loss": 0.5}]},
        "checkpoint": {"epoch": 2},
    }
    assert progress.without_curve().measured == RunningMetrics(epoch=1)
    assert progress.with_checkpoint(None) == progress
    assert progress.with_checkpoint(3).checkpoint_epoch == 3
