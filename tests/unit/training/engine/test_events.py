import pytest

from training.engine import events
from training.engine.events import Progress, ProgressEvent, TrainingStopped


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_told_at_a_bearable_rate_and_its_end_always(clock: list[float]) -> None:
    told: list[ProgressEvent] = []
    progress = Progress(told.append, lambda: False)
    progress.enter("features", "begins", 1000)
    for done in range(1, 1001):
        clock[0] += 0.001
        progress.tell(done, 1000)
    counts = [event.done for event in told]
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
