"""What every kind of leased work has in its row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.models import TimestampedModel


class State(models.TextChoices):
    """The life of a piece of work; `LeasedWork.ALLOWED` names the steps."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"


class LeasedQuerySet(models.QuerySet[Any]):
    """Questions that every kind of work is asked."""

    def queued(self) -> LeasedQuerySet:
        """Work that no worker holds, in the order in which it is to start."""
        return self.filter(state=State.QUEUED).order_by("queued_at", "pk")

    def unannounced(self, since: datetime) -> LeasedQuerySet:
        """Queued work of which no worker was told, or none since then."""
        return self.queued().filter(Q(announced_at=None) | Q(announced_at__lt=since))

    def held(self, now: datetime) -> LeasedQuerySet:
        """Work that a worker holds: its lease is not over."""
        return self.filter(state=State.RUNNING, lease_expires_at__gte=now)

    def abandoned(self, now: datetime) -> LeasedQuerySet:
        """Work whose worker has not renewed its lease."""
        return self.filter(state=State.RUNNING, lease_expires_at__lt=now)


class LeasedWork(TimestampedModel):
    """One piece of work. `transitions` changes its state, and nothing else does."""

    TASK: ClassVar[str]  # the name of the Celery task that does one piece of this kind
    QUEUE: ClassVar[str]  # where its messages go
    ALLOWED: ClassVar[Mapping[State, frozenset[State]]] = {
        State.QUEUED: frozenset({State.RUNNING}),
        State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.QUEUED}),
        State.SUCCEEDED: frozenset(),
        State.FAILED: frozenset(),
    }

    state = models.CharField(max_length=12, choices=State, default=State.QUEUED, editable=False)
    attempt = models.PositiveIntegerField(
        default=0, editable=False, help_text="Counts claims: every write of a worker names its own."
    )
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts that died.")
    worker = models.CharField(max_length=200, blank=True, editable=False)
    message = models.CharField(
        max_length=500, blank=True, editable=False, help_text="Why it waits again, or has failed."
    )
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, editable=False)
    announced_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = LeasedQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [models.Index(name="%(class)s_queue", fields=["state", "queued_at"])]
        constraints = [
            models.CheckConstraint(
                name="%(class)s_state_known",
                condition=Q(state__in=["queued", "running", "succeeded", "failed"]),
            ),
            models.CheckConstraint(
                name="%(class)s_held_has_lease",
                condition=Q(state="running", lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(lease_expires_at__isnull=True)),
            ),
        ]

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return not self.ALLOWED[State(self.state)]

    def when_failed(self, reason: str) -> None:
        """Note for whom the work was done that it has failed; called in the transaction that ends it."""
