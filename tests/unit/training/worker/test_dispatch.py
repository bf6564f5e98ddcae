from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from control.models import PlatformStatus
from tests.factories import DatasetFactory, TrainingJobFactory
from training.jobs.models import TrainingJob, WorkerHeartbeat
from training.jobs.routing import route, route_queued_jobs
from training.worker import dispatch
from training.worker.dispatch import take_next
from training.worker.resources import Machine
from work import queue as work_queue

pytestmark = pytest.mark.django_db

State = TrainingJob.State
TIB = 2**40


def worker(*queues: str, silent_for: float = 0) -> None:
    seen = timezone.now() - timedelta(seconds=silent_for)
    WorkerHeartbeat.objects.update_or_create(
        name="w1", defaults={"queues": queues, "started_at": seen, "seen_at": seen}
    )


def taken(queue: str = "cpu") -> int | None:
    job = take_next(queue, worker="w1")
    return job.pk if job else None


@pytest.mark.parametrize(
    ("strategy", "queues", "queue"),
    [
        ("finetune", ("cpu", "gpu"), "gpu"),
        ("scratch", ("gpu",), "gpu"),
        ("frozen", ("cpu", "gpu"), "cpu"),
        ("finetune", ("cpu",), "cpu"),
        ("finetune", (), "cpu"),
    ],
)
def test_jobs_that_pay_for_a_gpu_go_where_one_is(strategy: str, queues: tuple[str, ...], queue: str) -> None:
    worker(*queues)
    assert route(strategy) == queue


def test_queued_jobs_follow_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, str]] = []
    monkeypatch.setattr(work_queue, "send_hint", lambda task, pk, *, queue: sent.append((pk, queue)) or True)
    now = timezone.now()
    trains = TrainingJobFactory(strategy="finetune", announced_at=now)
    looks = TrainingJobFactory(announced_at=now)
    worker("cpu", "gpu")
    assert route_queued_jobs() == 1
    assert route_queued_jobs() == 0
    trains.refresh_from_db()
    looks.refresh_from_db()
    assert (trains.queue, looks.queue) == ("gpu", "cpu")
    worker("cpu", "gpu", silent_for=60)
    assert route_queued_jobs() == 1
    trains.refresh_from_db()
    assert trains.queue == "cpu"
    assert sent == [(trains.pk, "gpu"), (trains.pk, "cpu")], "workers of the new queue hear of it at once"


def test_higher_priority_goes_first_then_who_came_first() -> None:
    first, second, urgent = TrainingJobFactory(), TrainingJobFactory(), TrainingJobFactory(priority=5)
    assert [taken(), taken(), taken(), taken()] == [urgent.pk, first.pk, second.pk, None]


def test_each_queue_has_jobs_of_its_own() -> None:
    job = TrainingJobFactory(queue="gpu")
    assert taken("cpu") is None
    assert taken("gpu") == job.pk


def test_nothing_is_taken_while_the_platform_is_halted() -> None:
    job = TrainingJobFactory()
    PlatformStatus(dev_mode=True).save()
    assert taken() is None
    job.refresh_from_db()
    assert (job.state, job.attempt) == (State.QUEUED, 0)


def has(monkeypatch: pytest.MonkeyPatch, **machine: Any) -> None:
    monkeypatch.setattr(dispatch, "this_machine", lambda _: Machine(**machine))


def test_job_without_room_waits_and_lets_others_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = {"phase": "queued", "checkpoint": {"epoch": 3}}
    large = TrainingJobFactory(dataset=DatasetFactory(size=5 * 2**30), progress=reached)
    small = TrainingJobFactory()
    has(monkeypatch, disk_free=2**30, disk_total=TIB)
    assert taken() == small.pk
    assert taken() is None
    large.refresh_from_db()
    assert (large.state, large.attempt, large.failures) == (State.QUEUED, 0, 0)
    assert "5.4 GB of disk and the worker has 1.0 GB free. It waits for room." in large.message
    assert (large.how_far.message, large.how_far.checkpoint_epoch) == (large.message, 3)
    has(monkeypatch, disk_free=TIB, disk_total=TIB)
    TrainingJob.objects.filter(pk=large.pk).update(not_before=timezone.now())
    assert taken() == large.pk


def test_job_that_will_never_fit_fails_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    job = TrainingJobFactory(strategy="finetune", batch_size=1024)
    has(monkeypatch, disk_free=TIB, disk_total=TIB, memory_free=2**30, memory_total=2 * 2**30)
    assert taken() is None
    job.refresh_from_db()
    assert job.state == State.FAILED
    assert "smaller batch size" in job.error
