"""The life of leased work, on the kind that there is: validations of data sets."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from core.exceptions import StaleAttempt
from tests.factories import DatasetValidationFactory
from training.datasets.models import Dataset, DatasetValidation
from work import transitions
from work.models import LeasedWork, State

pytestmark = pytest.mark.django_db

LEASE = timedelta(minutes=1)


def claim(worker: str = "w1") -> DatasetValidation | None:
    return transitions.claim_next(DatasetValidation, worker=worker, lease=LEASE)


def claimed(**fields: object) -> DatasetValidation:
    DatasetValidationFactory(**fields)
    work = claim()
    assert work is not None
    return work


def let_lease_end(work: DatasetValidation) -> None:
    DatasetValidation.objects.filter(pk=work.pk).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )


def rescue(work: DatasetValidation, *, max_attempts: int = 3) -> State | None:
    return transitions.take_from_dead_worker(work, now=timezone.now(), max_attempts=max_attempts)


def test_final_states_lead_nowhere() -> None:
    assert not LeasedWork.ALLOWED[State.SUCCEEDED]
    assert not LeasedWork.ALLOWED[State.FAILED]


def test_claim_counts_attempts_and_names_the_worker() -> None:
    work = claimed()
    assert (work.attempt, work.worker, work.state) == (1, "w1", State.RUNNING)
    assert work.lease_expires_at is not None and work.lease_expires_at > timezone.now()
    assert claim() is None


def test_claim_takes_what_has_waited_longest() -> None:
    now = timezone.now()
    late = DatasetValidationFactory(queued_at=now)
    early = DatasetValidationFactory(queued_at=now - LEASE)
    assert [work.pk for work in (claim(), claim()) if work] == [early.pk, late.pk]


def test_claim_needs_the_condition() -> None:
    DatasetValidationFactory()
    kind = DatasetValidation
    assert transitions.claim_next(kind, worker="w", lease=LEASE, where=Q(pk=0)) is None
    assert transitions.claim_next(kind, worker="w", lease=LEASE, where=Q(pk__gt=0)) is not None


@pytest.mark.django_db(transaction=True)
def test_claim_by_many_at_once_is_given_to_one() -> None:
    DatasetValidationFactory()
    won: list[str] = []

    def take(name: str) -> None:
        try:
            if claim(name):
                won.append(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


@pytest.mark.parametrize(
    "step",
    [
        lambda work: transitions.renew(work, lease=LEASE, done=9),
        lambda work: transitions.succeed(work),
        lambda work: transitions.fail(work, reason="no"),
        lambda work: transitions.hand_back(work, reason="no"),
        lambda work: transitions.hand_back_or_fail(work, reason="no", max_attempts=3),
        lambda work: transitions.hand_back_or_fail(work, reason="no", max_attempts=1),
    ],
    ids=["renew", "succeed", "fail", "hand back", "hand back or fail", "give up"],
)
@pytest.mark.parametrize("loss", ["lease over", "taken over", "deleted", "ended"])
def test_who_has_lost_the_work_changes_nothing(step: object, loss: str) -> None:
    work = claimed()
    if loss == "lease over":
        let_lease_end(work)
    elif loss == "taken over":
        let_lease_end(work)
        assert rescue(work) == State.QUEUED
        assert claim("w2") is not None
    elif loss == "deleted":
        work.dataset.delete()
    else:
        transitions.succeed(work)
    before = list(DatasetValidation.objects.values())
    with pytest.raises(StaleAttempt):
        step(work)  # type: ignore[operator]
    assert list(DatasetValidation.objects.values()) == before
    assert not Dataset.objects.filter(state=Dataset.State.UNUSABLE).exists()


def test_renewing_prolongs_the_lease_and_writes_the_news() -> None:
    work = claimed()
    transitions.renew(work, lease=2 * LEASE, done=3, total=7)
    work.refresh_from_db()
    assert (work.done, work.total) == (3, 7)
    assert work.lease_expires_at is not None and work.lease_expires_at > timezone.now() + LEASE


def test_work_handed_back_waits_at_the_end_without_a_failure() -> None:
    work, other = claimed(), DatasetValidationFactory()
    transitions.hand_back(work, reason="Its worker was stopped.")
    work.refresh_from_db()
    assert (work.state, work.failures, work.message) == (State.QUEUED, 0, "Its worker was stopped.")
    assert (work.lease_expires_at, work.announced_at, work.worker) == (None, None, "")
    assert [one.pk for one in (claim(), claim()) if one] == [other.pk, work.pk]


def test_dead_attempts_are_counted_until_nobody_tries_again() -> None:
    work = claimed()
    for failures in (1, 2):
        transitions.hand_back_or_fail(work, reason="the disk is full", max_attempts=3)
        work.refresh_from_db()
        assert (work.state, work.failures) == (State.QUEUED, failures)
        again = claim()
        assert again is not None
        work = again
    transitions.hand_back_or_fail(work, reason="the disk is full", max_attempts=3)
    work.refresh_from_db()
    assert (work.state, work.failures, work.attempt) == (State.FAILED, 3, 3)
    assert work.message == "Gave up after 3 failed attempts: the disk is full"


def test_a_dead_worker_loses_its_work_once() -> None:
    work = claimed()
    assert rescue(work) is None  # its lease is not over
    let_lease_end(work)
    assert rescue(work) == State.QUEUED
    assert rescue(work) is None
    work.refresh_from_db()
    assert (work.failures, work.message) == (1, "Waits again: its worker stopped answering in attempt 1.")


def test_work_of_the_last_dead_worker_fails_and_says_so_to_whom_it_was_for() -> None:
    work = claimed(failures=2)
    let_lease_end(work)
    assert rescue(work) == State.FAILED
    work.dataset.refresh_from_db()
    assert work.dataset.state == Dataset.State.UNUSABLE
    assert work.dataset.reason.startswith("Gave up after 3 failed attempts")


def test_a_held_row_without_a_lease_is_no_row() -> None:
    work = DatasetValidationFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        DatasetValidation.objects.filter(pk=work.pk).update(state=State.RUNNING)
