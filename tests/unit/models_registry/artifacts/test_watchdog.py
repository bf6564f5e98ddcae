import threading
import time

import pytest

from models_registry.artifacts import BrokenLimit, Predictor, watchdog
from models_registry.artifacts.watchdog import Watchdog
from tests import hostile_models as hostile
from tests.tiny_models import COLOURS, picture


def busy_until(is_over: threading.Event, most: float = 20) -> float:
    began = time.monotonic()
    while not is_over.is_set() and time.monotonic() - began < most:
        pass
    return time.monotonic() - began


def test_block_that_takes_too_long_is_stopped() -> None:
    stopped = threading.Event()
    with Watchdog().limit(0.3, stopped.set) as limit:
        took = busy_until(stopped)
    assert limit.is_over
    assert 0.3 <= took < 5


def test_block_that_ends_in_time_is_left_alone() -> None:
    dog, stopped = Watchdog(), threading.Event()
    with dog.limit(0.2, stopped.set) as limit:
        pass
    with dog.limit(0.4, threading.Event().set):
        busy_until(stopped, 1)
    assert not limit.is_over
    assert not stopped.is_set()


def test_waiting_for_a_core_is_given_more_time() -> None:
    stopped = threading.Event()
    began = time.monotonic()
    with Watchdog().limit(0.3, stopped.set):
        stopped.wait(20)  # as one does who is not given a core
    assert 0.3 * watchdog.PATIENCE <= time.monotonic() - began < 5


def test_stop_that_fails_stops_no_other() -> None:
    dog, stopped = Watchdog(), threading.Event()

    def fail() -> None:
        raise RuntimeError

    with dog.limit(0.1, fail), dog.limit(0.2, stopped.set):
        busy_until(stopped)
    assert stopped.is_set()


def test_watchdog_that_fell_asleep_wakes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "TICK", 0.001)
    monkeypatch.setattr(watchdog, "LINGER", 1)
    dog = Watchdog()
    for _ in range(20):
        stopped = threading.Event()
        with dog.limit(0.01, stopped.set):
            assert stopped.wait(5)
        deadline = time.monotonic() + 5
        while dog._is_awake and time.monotonic() < deadline:
            time.sleep(0.001)
    assert not dog._is_awake, "it does not look at nothing for ever"


def test_run_of_a_model_in_this_process_is_ended() -> None:
    predictor = Predictor.from_bytes(hostile.endless_loop(), image_classes=COLOURS, seconds=0.3, threads=1)
    with pytest.raises(BrokenLimit, match=r"longer than 0\.3 seconds"):
        predictor.predict([picture("red")])


def test_limits_cost_next_to_nothing() -> None:
    dog = Watchdog()
    with dog.limit(1, threading.Event().set):
        pass
    rounds = []
    for _ in range(5):
        began = time.thread_time()
        for _ in range(1000):
            with dog.limit(1, time.time):
                pass
        rounds.append((time.thread_time() - began) / 1000)
    assert min(rounds) < 50e-6, "seconds; a small network takes five milliseconds"
