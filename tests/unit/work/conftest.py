"""Every kind of leased work: what holds for one holds for all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from evaluations.models import Evaluation
from inference.batches.models import Batch
from tests.factories import (
    BatchFactory,
    DatasetValidationFactory,
    EvaluationFactory,
    NetworkFetchFactory,
    RegisteredModelFactory,
    TrainingJobFactory,
)
from training.datasets.models import DatasetValidation
from training.jobs.models import TrainingJob
from training.networks.models import NetworkFetch
from work import queue, transitions
from work.models import LeasedWork


@dataclass(frozen=True)
class Kind:
    """A kind of work: how a row of it is made, and what belongs to its success."""

    model: type[LeasedWork]
    make: Callable[..., Any]
    outcome: Callable[[], dict[str, Any]] = dict

    def claimed(self, worker: str = "w1", **fields: Any) -> Any:
        """Make a row and claim it."""
        work = transitions.claim(self.make(**fields), worker=worker)
        assert work is not None
        return work

    def claim_next(self, worker: str = "w") -> Any:
        """Claim what is due."""
        return transitions.claim_next(self.model.objects.startable(timezone.now()), worker=worker)

    def rows(self) -> list[dict[str, Any]]:
        """Everything that is in the table."""
        return list(self.model.objects.order_by("pk").values())


KINDS = [
    Kind(TrainingJob, TrainingJobFactory, lambda: {"registered_model_id": RegisteredModelFactory().pk}),
    Kind(DatasetValidation, DatasetValidationFactory),
    Kind(Batch, BatchFactory),
    Kind(NetworkFetch, NetworkFetchFactory),
    Kind(Evaluation, EvaluationFactory),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.model.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of work in turn."""
    return request.param


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """The hints that went to the broker: task, row and queue."""
    hints: list[tuple[str, int, str]] = []

    def send(task: str, row_id: int, *, queue: str) -> bool:
        hints.append((task, row_id, queue))
        return True

    monkeypatch.setattr(queue, "send_hint", send)
    return hints


def let_lease_end(work: LeasedWork) -> None:
    """Let the worker of a piece of work look dead."""
    over = timezone.now() - timedelta(seconds=1)
    type(work).objects.filter(pk=work.pk).update(lease_expires_at=over)
