"""Who keeps a lease, and who loses it."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from core.exceptions import StaleAttempt
from tests.factories import DatasetValidationFactory
from training.datasets.models import DatasetValidation
from work import heartbeat, transitions
from work.heartbeat import Heartbeat, Interrupted

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = timedelta(seconds=1.2)  # a beat is a sixth


@pytest.fixture
def work() -> DatasetValidation:
    DatasetValidationFactory()
    claimed = transitions.claim_next(DatasetValidation, worker="w", lease=LEASE)
    assert claimed is not None
    return claimed


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_lost(beats: Heartbeat) -> bool:
    try:
        beats.check()
    except StaleAttempt:
        return True
    return False


def test_lease_is_renewed_and_progress_written(work: DatasetValidation) -> None:
    until = timezone.now() + 2 * LEASE

    def is_kept() -> bool:
        work.refresh_from_db()
        return work.done == 3 and work.lease_expires_at is not None and work.lease_expires_at > until

    with Heartbeat(work, lease=LEASE) as beats:
        beats.tell(done=3, total=7)
        wait_for(is_kept)
        beats.check()


def test_work_that_was_deleted_is_lost(work: DatasetValidation) -> None:
    with Heartbeat(work, lease=LEASE) as beats:
        work.dataset.delete()
        wait_for(lambda: is_lost(beats))


def test_work_that_hangs_loses_its_lease(work: DatasetValidation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SILENCE_ALLOWED", 0.3)
    with Heartbeat(work, lease=LEASE):
        wait_for(lambda: DatasetValidation.objects.abandoned(timezone.now()).exists())


def test_work_is_told_to_make_room(work: DatasetValidation) -> None:
    def is_told() -> bool:
        try:
            beats.check()
        except Interrupted as error:
            return str(error) == "Maintenance."
        return False

    with Heartbeat(work, lease=LEASE, interruption=lambda: "Maintenance.") as beats:
        wait_for(is_told)
