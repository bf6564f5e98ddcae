"""How workers hear of work, and who takes over from dead ones: the same for every kind."""

from datetime import timedelta

import pytest
from django.utils import timezone

from control.models import PlatformStatus
from core.queue.app import app
from core.queue.consumer import broker_connected
from tests.factories import DatasetValidationFactory
from training.jobs.models import WorkerHeartbeat
from work import queue, transitions
from work.models import State
from work.tasks import announce_what_the_broker_may_have_lost

from .conftest import Kind, let_lease_end

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
Sent = list[tuple[str, int, str]]


def worker_is_alive(*queues: str, slots: int = 1) -> None:
    now = timezone.now()
    WorkerHeartbeat.objects.create(name="w", queues=queues, slots=slots, started_at=now, seen_at=now)


def test_announcing_names_the_task_the_row_and_the_queue(kind: Kind, sent: Sent) -> None:
    work = kind.make(queue="somewhere")
    assert queue.announce(work)
    work.refresh_from_db()
    assert sent == [(kind.model.TASK, work.pk, "somewhere")]
    assert work.announced_at is not None


def test_every_kind_names_a_task_that_workers_have(kind: Kind) -> None:
    app.loader.import_default_modules()  # as workers find them
    assert kind.model.TASK in app.tasks


def test_a_broker_that_is_down_leaves_the_row_unannounced(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "send_hint", lambda *_, **__: False)
    work = kind.make()
    assert queue.announce_lost(kind.model) == 0
    work.refresh_from_db()
    assert (work.state, work.announced_at) == (State.QUEUED, None)


def test_what_was_never_announced_is(kind: Kind, sent: Sent) -> None:
    now = timezone.now()
    later, first = kind.make(queued_at=now), kind.make(queued_at=now - MINUTE)
    kind.make(announced_at=now)
    kind.make(state=State.CANCELLED, finished_at=now)
    assert queue.announce_waiting(kind.model) == 2
    assert [pk for _, pk, _ in sent] == [first.pk, later.pk]
    assert queue.announce_waiting(kind.model) == 0, "once is enough"


def test_what_seems_forgotten_is_announced_again_when_a_worker_is_idle(kind: Kind, sent: Sent) -> None:
    work = kind.make(announced_at=timezone.now() - timedelta(hours=1))
    assert queue.announce_lost(kind.model) == 0, "nobody is there to hear it"
    worker_is_alive(work.queue)
    assert queue.announce_lost(kind.model) == 1
    assert queue.announce_lost(kind.model) == 0, "it was heard a moment ago"
    assert len(sent) == 1


def test_what_waits_behind_busy_workers_is_not_announced_again(kind: Kind, sent: Sent) -> None:
    worker_is_alive(kind.claimed().queue)
    kind.make(announced_at=timezone.now() - timedelta(hours=1))
    assert queue.announce_lost(kind.model) == 0


def test_only_the_head_of_a_queue_is_announced(kind: Kind, sent: Sent) -> None:
    for _ in range(queue.ANNOUNCED_AT_ONCE + 2):
        kind.make()
    assert queue.announce_waiting(kind.model) == queue.ANNOUNCED_AT_ONCE


def test_a_broker_that_is_back_hears_of_the_head_whatever_it_was_told(kind: Kind, sent: Sent) -> None:
    work = kind.make(announced_at=timezone.now())
    assert announce_what_the_broker_may_have_lost in [found() for _, found, *_ in broker_connected.receivers]
    announce_what_the_broker_may_have_lost()
    assert [pk for _, pk, _ in sent] == [work.pk]


@pytest.mark.django_db(transaction=True)
def test_halted_platform_announces_nothing_and_all_the_moment_it_goes_on(kind: Kind, sent: Sent) -> None:
    work = kind.make()
    PlatformStatus(dev_mode=True).save()
    assert queue.announce_waiting(kind.model) == queue.announce_head(kind.model) == 0
    assert queue.announce_lost(kind.model) == 0
    assert sent == []
    PlatformStatus(dev_mode=False).save()
    assert [pk for _, pk, _ in sent] == [work.pk]


def test_rescue_takes_what_dead_workers_held_and_no_more(kind: Kind) -> None:
    dead, alive = kind.claimed("dead"), kind.claimed("alive")
    let_lease_end(dead)
    assert queue.rescue(kind.model) == {dead.pk: "queued"}
    assert queue.rescue(kind.model) == {}
    assert list(kind.model.objects.queued()) == [dead]
    assert transitions.state_of(alive) is State.RUNNING


def test_waits_in_knows_the_queue(kind: Kind) -> None:
    assert not queue.waits_in("here")
    kind.make(queue="here")
    assert queue.waits_in("here")
    assert not queue.waits_in("there")


def test_validations_do_not_wait_behind_trainings() -> None:
    assert DatasetValidationFactory().queue == "batches"
