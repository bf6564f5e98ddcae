from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from tests.factories import RegisteredModelFactory, TrainingJobFactory
from training.jobs.models import TrainingJob, WorkerHeartbeat
from training.jobs.schedule import seconds_until_start
from training.jobs.selectors import expected_start

SECONDS = st.floats(0, 1e6)
LENGTHS = st.lists(SECONDS, max_size=20)
SLOTS = st.integers(1, 8)


@given(slots=SLOTS, running=LENGTHS, ahead=LENGTHS, longer=SECONDS)
def test_one_more_job_ahead_never_lets_anybody_start_sooner(
    slots: int, running: list[float], ahead: list[float], longer: float
) -> None:
    before = seconds_until_start(slots=slots, running=running, ahead=ahead)
    assert seconds_until_start(slots=slots, running=running, ahead=[*ahead, longer]) >= before
    assert seconds_until_start(slots=slots + 1, running=running, ahead=ahead) <= before


@given(running=SECONDS, ahead=LENGTHS)
def test_one_slot_works_off_one_after_the_other(running: float, ahead: list[float]) -> None:
    assert seconds_until_start(slots=1, running=[running], ahead=ahead) == pytest.approx(running + sum(ahead))


@given(slots=SLOTS)
def test_free_slot_starts_at_once(slots: int) -> None:
    assert seconds_until_start(slots=slots, running=[100.0] * (slots - 1), ahead=[]) == 0


def test_two_slots_share_the_queue() -> None:
    assert seconds_until_start(slots=2, running=[10, 30], ahead=[25, 5]) == 35
    assert seconds_until_start(slots=1, running=[10, 30], ahead=[]) == 30


def ended(seconds: float) -> TrainingJob:
    now = timezone.now()
    return TrainingJobFactory(
        state="succeeded",
        registered_model=RegisteredModelFactory(),
        started_at=now - timedelta(seconds=seconds),
        finished_at=now,
    )


def running(**progress: object) -> TrainingJob:
    now = timezone.now()
    return TrainingJobFactory(
        state="running", started_at=now, lease_expires_at=now + timedelta(hours=1), progress=progress
    )


def wait_of(job: TrainingJob) -> float | None:
    start = expected_start(job)
    return None if start is None else (start - timezone.now()).total_seconds()


@pytest.mark.django_db
def test_expected_start_is_known_when_somebody_works_and_like_jobs_have_ended() -> None:
    TrainingJobFactory()
    job = TrainingJobFactory()
    assert wait_of(job) is None, "nobody works"
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now)
    assert wait_of(job) == pytest.approx(3, abs=2), "what such trainings take elsewhere"
    ended(60)
    assert wait_of(job) == pytest.approx(60, abs=5)
    running(metrics={"seconds_left": 500})
    assert wait_of(job) == pytest.approx(560, abs=5)
    WorkerHeartbeat.objects.update(slots=2)
    assert wait_of(job) == pytest.approx(60, abs=5)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 30])
def test_expected_start_costs_the_same_however_long_the_queue(
    django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w1", queues=["cpu"], started_at=now, seen_at=now)
    ended(60)
    for _ in range(count):
        TrainingJobFactory()
    job = TrainingJobFactory()
    with django_assert_num_queries(4):
        assert wait_of(job) == pytest.approx(60 * count, abs=10)
