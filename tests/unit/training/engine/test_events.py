import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.engine import events
from training.engine.event_format import UnknownEvent
from training.engine.events import (
    CheckpointEvent,
    EpochMetrics,
    Event,
    FailureEvent,
    FailureKind,
    FindingsEvent,
    Progress,
    ProgressEvent,
    ResultEvent,
    RunningMetrics,
    TrainingStopped,
    event_from_json,
)
from training.engine.request import TrainingResult

COUNTS = st.integers(0, 1 << 40)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
EPOCHS = st.builds(
    EpochMetrics,
    epoch=st.none() | COUNTS,
    train_loss=st.none() | NUMBERS,
    train_accuracy=st.none() | NUMBERS,
    validation_loss=st.none() | NUMBERS,
    validation_accuracy=st.none() | NUMBERS,
    learning_rate=st.none() | NUMBERS,
)
METRICS = st.builds(
    RunningMetrics,
    epoch=st.none() | COUNTS,
    loss=st.none() | NUMBERS,
    images_per_second=st.none() | NUMBERS,
    seconds_left=st.none() | NUMBERS,
    strength=st.none() | NUMBERS,
    curve=st.none() | st.lists(EPOCHS, max_size=3).map(tuple),
)
RESULTS = st.builds(
    TrainingResult,
    accuracy=NUMBERS,
    classes=st.lists(st.text(), max_size=3),
    metrics=st.dictionaries(st.text(), NUMBERS, max_size=3),
    artifacts=st.dictionaries(st.text(), st.text(), max_size=3),
    accuracy_plot=st.text(),
    parity=st.dictionaries(st.text(), NUMBERS, max_size=3),
    phase_seconds=st.dictionaries(st.text(), NUMBERS, max_size=3),
)
EVENTS: st.SearchStrategy[Event] = (
    st.builds(ProgressEvent, phase=st.text(), done=COUNTS, total=COUNTS, message=st.text(), metrics=METRICS)
    | st.builds(CheckpointEvent, files=st.lists(st.text(), max_size=3).map(tuple), epoch=COUNTS)
    | st.builds(ResultEvent, result=st.none() | RESULTS)
    | st.builds(FindingsEvent, examples=st.text(), naive_accuracy=st.none() | NUMBERS)
    | st.builds(FailureEvent, kind=st.sampled_from(get_args(FailureKind)), message=st.text())
)


@given(EVENTS)
def test_any_event_crosses_the_border_as_one_line_of_json(event: Event) -> None:
    line = json.dumps(event.to_json())
    assert "\n" not in line
    assert event_from_json(json.loads(line)) == event


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "unknown event, None. Known: progress, checkpoint, result, findings, error"),
        ({"event": "warning"}, "unknown event, 'warning'"),
        (
            {"event": "error", "kind": "bored", "message": ""},
            "'bored'. Known: data, training, stopped, internal",
        ),
        ({"event": "error", "kind": "data"}, "message as None, which is no str"),
        (
            {"event": "checkpoint", "files": ["a"], "epoch": 1, "size": 3},
            "CheckpointEvent does not have: size",
        ),
        ({"event": "result", "result": {"accuracy": 90.0}}, "incomplete or of another release"),
        (
            {**ProgressEvent("fit").to_json(), "metrics": {"perplexity": 1.0}},
            "RunningMetrics does not have: perplexity",
        ),
    ],
)
def test_event_of_another_release_is_named(data: object, words: str) -> None:
    with pytest.raises(UnknownEvent) as raised:
        event_from_json(data)
    assert words in str(raised.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "1", True])
def test_metric_that_is_no_number_is_unknown(value: Any) -> None:
    found = RunningMetrics.from_json({"loss": value, "epoch": value, "curve": [{"train_loss": value}, value]})
    assert found == RunningMetrics(curve=(EpochMetrics(),))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_told_at_a_bearable_rate_and_its_end_always(clock: list[float]) -> None:
    told: list[Event] = []
    progress = Progress(told.append, lambda: False)
    progress.enter("features", "begins", 1000)
    for done in range(1, 1001):
        clock[0] += 0.001
        progress.tell(done, 1000)
    counts = [event.done for event in told if isinstance(event, ProgressEvent)]
    assert counts[0] == 0
    assert counts[-1] == 1000
    assert len(counts) <= 8


def test_phases_are_measured(clock: list[float]) -> None:
    progress = Progress(lambda event: None, lambda: False)
    progress.enter("prepare", "")
    clock[0] += 2
    progress.enter("features", "")
    clock[0] += 3
    progress.leave()
    assert progress.phase_seconds == {"prepare": 2.0, "features": 3.0}


def test_wish_to_stop_is_heard_even_when_nothing_is_told() -> None:
    stopping = [False]
    progress = Progress(lambda event: None, lambda: stopping[0])
    progress.enter("fit", "")
    stopping[0] = True
    with pytest.raises(TrainingStopped):
        progress.tell(1, 10)
