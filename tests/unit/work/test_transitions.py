"""The life of leased work, which is the same for every kind."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import StaleAttempt
from tests.factories import TrainingJobFactory
from training.datasets.models import Dataset, DatasetValidation
from training.jobs.models import TrainingJob
from work import transitions
from work.models import FINAL, HELD, LeasedWork, State
from work.queue import kinds

from .conftest import KINDS, Kind, let_lease_end

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def rescue(work: LeasedWork) -> State | None:
    return transitions.take_from_dead_worker(work, now=timezone.now())


def test_every_kind_of_work_is_tested_here() -> None:
    assert {kind.model for kind in KINDS} == set(kinds())


def test_final_states_lead_nowhere_and_the_others_to_one(kind: Kind) -> None:
    allowed = kind.model.ALLOWED
    assert set(allowed) == set(State)
    assert all(not allowed[state] for state in FINAL)
    assert all(set(FINAL) & allowed[state] for state in State if state not in FINAL)


def test_claim_counts_attempts_and_names_the_worker(kind: Kind) -> None:
    work = kind.claimed()
    assert (work.attempt, work.worker, work.state, work.message) == (1, "w1", State.RUNNING, "")
    assert work.lease_expires_at > timezone.now()
    assert work.started_at is not None
    assert kind.claim_next() is None
    assert transitions.claim(work, worker="w2") is None


def test_claim_takes_what_has_waited_longest(kind: Kind) -> None:
    now = timezone.now()
    late, early = kind.make(queued_at=now), kind.make(queued_at=now - MINUTE)
    assert [kind.claim_next().pk, kind.claim_next().pk] == [early.pk, late.pk]


def test_claim_passes_over_what_does_not_fit(kind: Kind) -> None:
    large, small = kind.make(), kind.make()
    waiting = kind.model.objects.startable(timezone.now())
    claimed = transitions.claim_next(waiting, worker="w", fits=lambda work: work.pk != large.pk)
    assert claimed is not None and claimed.pk == small.pk


def test_nothing_is_claimed_while_the_platform_is_halted(kind: Kind) -> None:
    work = kind.make()
    PlatformStatus(dev_mode=True).save()
    assert transitions.claim(work, worker="w") is None
    PlatformStatus(dev_mode=False).save()
    assert transitions.claim(work, worker="w") is not None


@pytest.mark.django_db(transaction=True)
def test_claim_by_many_at_once_is_given_to_one(kind: Kind) -> None:
    work, won = kind.make(), []

    def take(name: str) -> None:
        try:
            if transitions.claim(work, worker=name):
                won.append(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    work.refresh_from_db()
    assert (work.state, work.attempt, work.worker) == (State.RUNNING, 1, won[0])


STEPS: dict[str, Callable[[Any], object]] = {
    "renew": lambda work: transitions.renew(work, worker="late"),
    "look": transitions.state_of,
    "succeed": transitions.succeed,
    "fail": lambda work: transitions.fail(work, reason="no"),
    "finish cancelling": transitions.finish_cancelling,
    "hand back": lambda work: transitions.hand_back(work, reason="no"),
    "yield": lambda work: transitions.yield_turn(work, reason="no"),
    "die": lambda work: transitions.hand_back_or_fail(work, reason="no"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("loss", ["lease over", "taken over", "requeued", "deleted", "ended"])
def test_who_has_lost_the_work_changes_nothing(kind: Kind, step: str, loss: str) -> None:
    work = kind.claimed()
    if loss == "taken over":
        let_lease_end(work)
        assert rescue(work) == State.QUEUED
        assert kind.claim_next("w2") is not None
    elif loss == "requeued":
        assert transitions.requeue(work, reason="Taken away")
    elif loss == "deleted":
        kind.model.objects.filter(pk=work.pk).delete()
    elif loss == "ended":
        transitions.succeed(work, **kind.outcome())
    else:
        let_lease_end(work)
    before, unusable = kind.rows(), Dataset.objects.filter(state=Dataset.State.UNUSABLE)
    with pytest.raises(StaleAttempt):
        STEPS[step](work)
    assert kind.rows() == before
    assert not unusable.exists()


def test_renewing_prolongs_the_lease_and_writes_the_news(kind: Kind) -> None:
    work = kind.claimed()
    kind.model.objects.update(lease_expires_at=timezone.now() + timedelta(seconds=9))
    transitions.renew(work, failures=7)
    work.refresh_from_db()
    assert work.failures == 7
    assert work.lease_expires_at > timezone.now() + timedelta(seconds=10)
    assert transitions.state_of(work) is State.RUNNING


def test_success_ends_the_work(kind: Kind) -> None:
    work = kind.claimed()
    transitions.succeed(work, **kind.outcome())
    work.refresh_from_db()
    assert (work.state, work.lease_expires_at, work.message) == (State.SUCCEEDED, None, "")
    assert work.finished_at is not None
    assert work.is_final


@pytest.mark.parametrize("way", ["handed back", "taken from a dead worker", "died", "requeued"])
def test_work_that_goes_back_keeps_its_place_in_the_queue(kind: Kind, way: str) -> None:
    now = timezone.now()
    work = kind.claimed(queued_at=now - 2 * MINUTE)
    later = kind.make(queued_at=now - MINUTE)
    if way == "handed back":
        transitions.hand_back(work, reason="Suspended")
    elif way == "died":
        transitions.hand_back_or_fail(work, reason="the disk is full")
    elif way == "requeued":
        assert transitions.requeue(work, reason="Put back")
    else:
        let_lease_end(work)
        assert rescue(work) == State.QUEUED
    work.refresh_from_db()
    assert (work.state, work.lease_expires_at, work.announced_at) == (State.QUEUED, None, None)
    assert (work.worker, work.started_at) == ("", None)
    assert work.queued_at == now - 2 * MINUTE
    assert [kind.claim_next().pk, kind.claim_next().pk] == [work.pk, later.pk]


def test_work_that_yields_goes_to_the_end_of_the_queue(kind: Kind) -> None:
    now = timezone.now()
    work = kind.claimed(queued_at=now - 2 * MINUTE)
    later = kind.make(queued_at=now - MINUTE)
    transitions.yield_turn(work, reason="Takes turns with others")
    work.refresh_from_db()
    assert (work.failures, work.message) == (0, "Takes turns with others.")
    assert [kind.claim_next().pk, kind.claim_next().pk] == [later.pk, work.pk]


def test_work_handed_back_has_not_failed(kind: Kind) -> None:
    work = kind.make()
    for attempt in range(1, 6):
        claimed = kind.claim_next()
        assert claimed.attempt == attempt
        transitions.hand_back(claimed, reason="Stopped")
    work.refresh_from_db()
    assert (work.state, work.failures, work.message) == (State.QUEUED, 0, "Stopped.")


def test_dead_attempts_are_counted_until_nobody_tries_again(kind: Kind, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_ATTEMPTS": 3}
    work = kind.make()
    for failures in (1, 2):
        transitions.hand_back_or_fail(kind.claim_next(), reason="the disk is full")
        work.refresh_from_db()
        assert (work.state, work.failures) == (State.QUEUED, failures)
        assert work.message == "Queued again: the disk is full."
    transitions.hand_back_or_fail(kind.claim_next(), reason="the disk is full")
    work.refresh_from_db()
    assert (work.state, work.failures, work.attempt) == (State.FAILED, 3, 3)
    assert work.message == "Gave up after 3 failed attempts: the disk is full"
    assert work.finished_at is not None


def test_a_dead_worker_loses_its_work_once(kind: Kind) -> None:
    work = kind.claimed()
    assert rescue(work) is None, "its lease is not over"
    let_lease_end(work)
    assert rescue(work) == State.QUEUED
    assert rescue(work) is None
    work.refresh_from_db()
    assert (work.failures, work.message) == (1, "Queued again: worker w1 stopped answering in attempt 1.")


def test_work_of_the_last_dead_worker_fails(kind: Kind, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_ATTEMPTS": 1}
    work = kind.claimed()
    let_lease_end(work)
    assert rescue(work) == State.FAILED
    work.refresh_from_db()
    assert work.message == "Gave up after 1 failed attempt: worker w1 stopped answering in attempt 1"


def test_cancelling_ends_what_waits_and_asks_who_works(kind: Kind) -> None:
    queued, running = kind.make(), kind.claimed()
    assert transitions.cancel(queued)
    queued.refresh_from_db()
    assert (queued.state, queued.is_final) == (State.CANCELLED, True)
    assert transitions.cancel(running)
    assert transitions.state_of(running) is State.CANCELLING
    assert transitions.cancel(running), "asking twice is fine"
    transitions.renew(running)
    transitions.finish_cancelling(running)
    running.refresh_from_db()
    assert (running.state, running.lease_expires_at) == (State.CANCELLED, None)
    assert not transitions.cancel(running)


def test_work_that_is_complete_when_it_is_cancelled_succeeds(kind: Kind) -> None:
    work = kind.claimed()
    transitions.cancel(work)
    transitions.succeed(work, **kind.outcome())
    work.refresh_from_db()
    assert work.state == State.SUCCEEDED
    assert not transitions.cancel(work)


def test_work_that_is_cancelled_while_it_is_handed_back_ends(kind: Kind) -> None:
    work = kind.claimed()
    transitions.cancel(work)
    transitions.hand_back(work, reason="Suspended")
    work.refresh_from_db()
    assert (work.state, work.message) == (State.CANCELLED, "")


def test_cancelled_work_of_a_dead_worker_is_cancelled(kind: Kind, settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_ATTEMPTS": 1}
    work = kind.claimed()
    transitions.cancel(work)
    let_lease_end(work)
    work.refresh_from_db()
    assert rescue(work) == State.CANCELLED


def test_queued_work_that_cannot_be_done_is_refused(kind: Kind) -> None:
    queued, running = kind.make(), kind.claimed()
    assert transitions.refuse(queued, reason="There is no room.")
    assert not transitions.refuse(running, reason="There is no room.")
    queued.refresh_from_db()
    assert (queued.state, queued.message) == (State.FAILED, "There is no room.")


def test_requeueing_takes_running_work_from_its_worker(kind: Kind) -> None:
    work = kind.claimed()
    assert transitions.requeue(work, reason="Put back")
    assert not transitions.requeue(work, reason="Put back"), "it is queued already"


@pytest.mark.parametrize("wrong", [*({"state": state} for state in (*HELD, *FINAL)), {"state": "lost"}])
def test_the_database_refuses_impossible_rows(kind: Kind, wrong: dict[str, object]) -> None:
    work = kind.make()
    with pytest.raises(IntegrityError), transaction.atomic():
        kind.model.objects.filter(pk=work.pk).update(**wrong)


@pytest.mark.parametrize("state", [State.QUEUED, State.SUCCEEDED])
def test_the_database_refuses_a_lease_that_nobody_holds(kind: Kind, state: State) -> None:
    work = kind.claimed()
    if state == State.SUCCEEDED:
        transitions.succeed(work, **kind.outcome())
    else:
        transitions.hand_back(work, reason="Suspended")
    with pytest.raises(IntegrityError), transaction.atomic():
        kind.model.objects.filter(pk=work.pk).update(lease_expires_at=timezone.now())


def test_a_validation_that_fails_makes_its_data_unusable() -> None:
    validation = next(kind for kind in KINDS if kind.model is DatasetValidation).claimed()
    transitions.fail(validation, reason="It is broken.")
    validation.dataset.refresh_from_db()
    assert (validation.dataset.state, validation.dataset.reason) == (
        Dataset.State.UNUSABLE,
        "It is broken.",
    )


def test_jobs_start_by_priority() -> None:
    first, urgent = TrainingJobFactory(), TrainingJobFactory(priority=5)
    waiting = TrainingJob.objects.startable(timezone.now())
    assert [transitions.claim_next(waiting, worker="w") for _ in range(2)] == [urgent, first]
