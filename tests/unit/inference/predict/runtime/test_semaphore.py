import threading
import time
from collections.abc import Callable

import pytest

from inference.predict.runtime import FifoSemaphore


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_no_more_hold_a_turn_than_there_are_slots() -> None:
    semaphore, at_once, most, lock = FifoSemaphore(2), 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        for _ in range(50):
            with semaphore.acquire():
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                with lock:
                    at_once -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert at_once == 0
    assert most <= 2


def test_who_came_first_is_served_first() -> None:
    semaphore, served = FifoSemaphore(1), []
    queued = [threading.Event() for _ in range(5)]

    def work(number: int) -> None:
        queued[number].set()
        with semaphore.acquire():
            served.append(number)

    with semaphore.acquire():
        threads = []
        for number in range(5):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            threads.append(thread)
            assert queued[number].wait(5)
            wait_until(lambda waiting=number + 1: len(semaphore) == waiting)
    for thread in threads:
        thread.join(10)
    assert served == [0, 1, 2, 3, 4]


def test_failure_gives_the_turn_back() -> None:
    semaphore = FifoSemaphore(1)
    with pytest.raises(KeyError), semaphore.acquire():
        raise KeyError
    with semaphore.acquire():
        pass


def test_no_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        FifoSemaphore(0)
