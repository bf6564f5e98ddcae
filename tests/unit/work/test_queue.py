"""How workers hear of work, and who takes over from dead ones."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import DatasetValidationFactory
from training.datasets.models import DatasetValidation
from work import queue, transitions
from work.models import State

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    hints: list[tuple[str, int, str]] = []

    def send(task: str, row_id: int, *, queue: str) -> bool:
        hints.append((task, row_id, queue))
        return True

    monkeypatch.setattr(queue, "send_hint", send)
    return hints


def test_announcing_names_the_task_the_row_and_the_queue(sent: list[tuple[str, int, str]]) -> None:
    work = DatasetValidationFactory()
    assert queue.announce(DatasetValidation, work.pk)
    work.refresh_from_db()
    assert sent == [("training.validate_dataset", work.pk, "batches")]
    assert work.announced_at is not None


def test_a_broker_that_is_down_leaves_the_row_unannounced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "send_hint", lambda *_, **__: False)
    work = DatasetValidationFactory()
    assert not queue.announce(DatasetValidation, work.pk)
    work.refresh_from_db()
    assert work.announced_at is None


def test_only_what_waits_unheard_is_announced_again(sent: list[tuple[str, int, str]]) -> None:
    now = timezone.now()
    never = DatasetValidationFactory(queued_at=now - 3 * MINUTE)
    long_ago = DatasetValidationFactory(queued_at=now - 2 * MINUTE, announced_at=now - 2 * MINUTE)
    DatasetValidationFactory(announced_at=now)
    DatasetValidationFactory(state=State.SUCCEEDED)
    assert queue.announce_waiting(DatasetValidation, unheard_for=MINUTE) == 2
    assert [pk for _, pk, _ in sent] == [never.pk, long_ago.pk]


def test_rescue_takes_what_dead_workers_held_and_no_more() -> None:
    DatasetValidationFactory.create_batch(2)
    dead = transitions.claim_next(DatasetValidation, worker="dead", lease=-MINUTE)
    alive = transitions.claim_next(DatasetValidation, worker="alive", lease=MINUTE)
    assert dead is not None and alive is not None
    assert queue.rescue(DatasetValidation, max_attempts=3) == 1
    assert list(DatasetValidation.objects.queued()) == [dead]


def test_waits_in_knows_the_queue() -> None:
    assert not queue.waits_in("batches")
    DatasetValidationFactory()
    assert queue.waits_in("batches")
    assert not queue.waits_in("cpu")
