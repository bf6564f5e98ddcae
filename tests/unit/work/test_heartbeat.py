"""Who keeps a lease, who loses it, and who is told to stop."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from control.models import PlatformStatus
from core.exceptions import StaleAttempt
from work import heartbeat, transitions
from work.heartbeat import Cancelled, Heartbeat, Interrupted
from work.stopping import worker_stops

from .conftest import Kind

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = timedelta(seconds=1.2)  # a beat is a sixth


@pytest.fixture(autouse=True)
def short_lease(settings: Any) -> Iterator[None]:
    settings.TRAINYARD = {**settings.TRAINYARD, "LEASE": LEASE}
    yield
    worker_stops.clear()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def raises(beats: Heartbeat, error: type[Exception], words: str = "") -> bool:
    try:
        beats.check()
    except error as raised:
        return words in str(raised)
    return False


def test_lease_is_renewed_and_progress_written(kind: Kind) -> None:
    work, until = kind.claimed(), timezone.now() + 2 * LEASE

    def is_kept() -> bool:
        row = kind.model.objects.get(pk=work.pk)
        return row.failures == 3 and row.lease_expires_at > until

    with Heartbeat(work) as beats:
        beats.tell(failures=3)
        assert work.failures == 3, "the attempt knows at once"
        wait_for(is_kept)
        beats.check()


def test_work_that_was_deleted_is_lost(kind: Kind) -> None:
    work = kind.claimed()
    with Heartbeat(work) as beats:
        kind.model.objects.filter(pk=work.pk).delete()
        wait_for(lambda: raises(beats, StaleAttempt))


def test_work_that_was_taken_away_is_lost(kind: Kind) -> None:
    work = kind.claimed()
    with Heartbeat(work) as beats:
        assert transitions.requeue(work, reason="Put back")
        wait_for(lambda: raises(beats, StaleAttempt))


def test_work_that_hangs_loses_its_lease(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE_ALLOWED", 0.3)
    with Heartbeat(kind.claimed()) as beats:

        def is_abandoned() -> bool:
            if not beats.lost.is_set():
                beats.look()  # who waits for another process gives no sign of life
            return kind.model.objects.abandoned(timezone.now()).exists()

        wait_for(is_abandoned)


def test_work_that_gives_signs_of_life_keeps_its_lease(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE_ALLOWED", 1.2)  # a busy machine is silent for less
    until = time.monotonic() + 2
    with Heartbeat(kind.claimed()) as beats:
        while time.monotonic() < until:
            beats.check()
            time.sleep(0.02)
        assert not beats.lost.is_set()


def test_work_is_told_that_it_was_cancelled(kind: Kind) -> None:
    work = kind.claimed()
    with Heartbeat(work) as beats:
        assert transitions.cancel(work)
        wait_for(lambda: raises(beats, Cancelled))


def test_work_makes_room_for_maintenance(kind: Kind) -> None:
    with Heartbeat(kind.claimed()) as beats:
        PlatformStatus(dev_mode=True).save()
        wait_for(lambda: raises(beats, Interrupted, "maintenance"))


def test_work_makes_room_when_its_worker_stops(kind: Kind) -> None:
    with Heartbeat(kind.claimed()) as beats:
        beats.check()
        worker_stops.set()
        assert raises(beats, Interrupted, "its worker was stopped")
