"""The abstract row of leased work, and its allowed transitions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.models import TimestampedModel


class WorkState(models.TextChoices):
    """The life of a piece of work; `LeasedWork.ALLOWED` names the steps."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    CANCELLING = "cancelling", "cancelling"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


State = WorkState
HELD = (State.RUNNING, State.CANCELLING)  # a worker has it
UNFINISHED = (State.QUEUED, *HELD)
FINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class LeasedQuerySet(models.QuerySet[Any]):
    """Queries about any kind of work."""

    def unfinished(self) -> Self:
        """Work that has not ended."""
        return self.filter(state__in=UNFINISHED)

    def queued(self) -> Self:
        """Work that no worker holds, in the order in which it is to start."""
        return self.filter(state=State.QUEUED).order_by("queued_at", "pk")

    def startable(self, now: datetime) -> Self:
        """Queued work that may start now, in that order; a kind that waits for something narrows this."""
        return self.queued()

    def running(self) -> Self:
        """Work that a worker holds, oldest start first, also when its lease is over."""
        return self.filter(state__in=HELD).order_by("started_at", "pk")

    def held(self, now: datetime) -> Self:
        """Work whose lease is not over."""
        return self.filter(state__in=HELD, lease_expires_at__gte=now)

    def abandoned(self, now: datetime) -> Self:
        """Work whose worker has not renewed its lease."""
        return self.filter(state__in=HELD, lease_expires_at__lt=now)


class LeasedWork(TimestampedModel):
    """One piece of work. `transitions` changes its state, and nothing else does.

    A kind of work is a subclass: it names its `TASK`, gives `queue` a default, makes `objects` of a `LeasedQuerySet`,
    and takes over `Meta.indexes` and `Meta.constraints`. `changes_on` and `after_step` add its own to a step.
    """

    TASK: ClassVar[str]  # the name of the Celery task that does one piece of this kind
    State = WorkState
    HELD = HELD
    UNFINISHED = UNFINISHED
    objects: Any  # made of a LeasedQuerySet
    ALLOWED: ClassVar[Mapping[WorkState, frozenset[WorkState]]] = {
        State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
        State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLING, State.QUEUED}),
        State.CANCELLING: frozenset({State.CANCELLED, State.SUCCEEDED, State.FAILED}),
        State.SUCCEEDED: frozenset(),
        State.FAILED: frozenset(),
        State.CANCELLED: frozenset(),
    }

    state = models.CharField(max_length=12, choices=State, default=State.QUEUED, editable=False)
    queue = models.CharField(max_length=16, editable=False)
    attempt = models.PositiveIntegerField(
        default=0, editable=False, help_text="Counts claims: every write of a worker names its own."
    )
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Attempts that died; being suspended or stopped does not count."
    )
    worker = models.CharField(max_length=200, blank=True, editable=False)
    message = models.TextField(blank=True, editable=False, help_text="Why it waits again, or has failed.")
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, editable=False)
    announced_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True
        indexes = [models.Index(name="%(class)s_queue", fields=["state", "queued_at"])]
        constraints = [
            models.CheckConstraint(
                name="%(class)s_state_known",
                condition=Q(
                    state__in=["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
                ),
            ),
            models.CheckConstraint(
                name="%(class)s_held_has_lease",
                condition=Q(state__in=["running", "cancelling"], lease_expires_at__isnull=False)
                | (~Q(state__in=["running", "cancelling"]) & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="%(class)s_final_has_end",
                condition=Q(state__in=["queued", "running", "cancelling"], finished_at__isnull=True)
                | Q(state__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
            ),
        ]

    @classmethod
    def noun(cls) -> str:
        """What one piece is called in logs and file names, like "job"."""
        return str(cls._meta.verbose_name).rpartition(" ")[2]

    @classmethod
    def plural(cls) -> str:
        """What several pieces are called, like "jobs"."""
        return str(cls._meta.verbose_name_plural).rpartition(" ")[2]

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in UNFINISHED

    @property
    def max_attempts(self) -> int:
        """How many of its attempts may die."""
        return int(settings.TRAINYARD["MAX_ATTEMPTS"])

    def goes_on(self) -> str:
        """Return where the next attempt goes on, as the end of a sentence like " at epoch 3"; "" if nowhere."""
        return ""

    def changes_on(self, target: WorkState, reason: str) -> dict[str, object]:
        """Return the kind's own columns to write with a step to `target`."""
        return {}

    def after_step(self, target: WorkState, reason: str) -> None:
        """Do what follows from a step to `target`; called in its transaction, and `state` is the old one."""
