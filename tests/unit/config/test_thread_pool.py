"""Threads that take tasks: the one that became idle last first, few at a time while tasks are short."""

import threading
from queue import SimpleQueue

from config.thread_pool import ThreadPool

SOON = 10  # seconds


class Recorder:
    """Tasks that say which thread does them."""

    def __init__(self) -> None:
        self.threads: SimpleQueue[int] = SimpleQueue()

    def __call__(self) -> None:
        self.threads.put(threading.get_ident())

    def next(self) -> int:
        """Return the next thread that has done a task."""
        return self.threads.get(timeout=SOON)


def idle(pool: ThreadPool) -> int:
    with pool._lock:
        return len(pool._idle)


def wait_until_idle(pool: ThreadPool, count: int) -> None:
    pause = threading.Event()
    for _ in range(SOON * 1000):
        if idle(pool) == count:
            return
        pause.wait(0.001)
    raise AssertionError(f"{idle(pool)} of {count} threads are idle.")


def test_one_thread_after_the_other_is_the_same_one() -> None:
    pool, done = ThreadPool(4, at_once=4), Recorder()
    wait_until_idle(pool, 4)
    seen = set()
    for _ in range(20):
        pool.put(done)
        seen.add(done.next())
        wait_until_idle(pool, 4)
    assert len(seen) == 1


def test_what_finds_no_thread_waits_its_turn() -> None:
    pool, order, gate = ThreadPool(2, at_once=2), SimpleQueue[int](), threading.Event()
    for _ in range(2):
        pool.put(lambda: order.put(gate.wait(SOON) and -1))
    for number in range(50):
        pool.put(lambda number=number: order.put(number))  # type: ignore[misc]
    gate.set()
    done = [order.get(timeout=SOON) for _ in range(52)]
    assert sorted(done) == [-1, -1, *range(50)]
    wait_until_idle(pool, 2)


def test_many_put_at_once_and_each_task_is_done_once() -> None:
    pool, counts = ThreadPool(3, at_once=1), SimpleQueue[int]()

    def put_some(start: int) -> None:
        for number in range(start, start + 200):
            pool.put(lambda number=number: counts.put(number))  # type: ignore[misc]

    senders = [threading.Thread(target=put_some, args=(1000 * n,)) for n in range(4)]
    for sender in senders:
        sender.start()
    done = sorted(counts.get(timeout=SOON) for _ in range(800))
    assert done == [1000 * n + m for n in range(4) for m in range(200)]


def test_short_tasks_wait_for_each_other() -> None:
    pool, at_work, most = ThreadPool(4, at_once=1), [0], SimpleQueue[int]()

    def short() -> None:
        at_work[0] += 1
        most.put(at_work[0])
        threading.Event().wait(0.001)
        at_work[0] -= 1

    for _ in range(50):
        pool.put(short)
    assert {most.get(timeout=SOON) for _ in range(50)} == {1}


def test_others_join_when_tasks_take_long() -> None:
    pool, gate, done = ThreadPool(3, at_once=1), threading.Event(), Recorder()

    def long() -> None:
        gate.wait(SOON)

    for _ in range(2):
        pool.put(long)
    for _ in range(20):
        pool.put(done)
    others = {done.next() for _ in range(20)}
    assert len(others) == 1
    assert not gate.is_set()
    gate.set()
    wait_until_idle(pool, 3)
