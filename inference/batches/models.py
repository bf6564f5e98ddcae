"""Batches under way and done."""

import secrets
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.models import OwnedQuerySet, TimestampedModel
from models_registry.models import RegisteredModel

new_identifier = partial(
    secrets.token_hex, 16
)  # 128 bits: who knows it may see the batch  # 128 bits: who knows it may see the batch


class BatchQuerySet(OwnedQuerySet):
    """Questions about batches in the words of the domain."""

    def unfinished(self) -> "BatchQuerySet":
        """Batches that have not come to an end."""
        return self.filter(state__in=Batch.UNFINISHED)

    def queued(self) -> "BatchQuerySet":
        """Batches that wait for a worker, whose turn is next first."""
        return self.filter(state=Batch.State.QUEUED).order_by("queued_at", "pk")

    def abandoned(self, now: datetime) -> "BatchQuerySet":
        """Batches whose worker has not said a word for longer than its lease."""
        return self.filter(state__in=Batch.HELD, lease_expires_at__lt=now)

    def expired(self, now: datetime) -> "BatchQuerySet":
        """Batches whose result has been kept for long enough."""
        return self.filter(expires_at__lte=now)


class Batch(TimestampedModel):
    """Many inputs in one file, classified in the background; the row is the truth about its progress."""

    class State(models.TextChoices):
        """queued → running → succeeded, failed; running → queued again; queued, cancelling → cancelled."""

        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        CANCELLING = "cancelling", "being cancelled"
        SUCCEEDED = "succeeded", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    HELD = (State.RUNNING, State.CANCELLING)
    UNFINISHED = (State.QUEUED, *HELD)

    identifier = models.CharField(max_length=32, unique=True, default=new_identifier, editable=False)
    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="batches", editable=False
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="batches",
        null=True,
        editable=False,
    )
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED, editable=False)
    source_name = models.CharField("file", max_length=255, editable=False)
    suffix = models.CharField(max_length=16, editable=False)
    column = models.CharField(max_length=200, blank=True, editable=False, help_text="Of a table's texts.")
    size = models.PositiveBigIntegerField(editable=False, help_text="Bytes.")
    sha256 = models.CharField(max_length=64, editable=False)
    total = models.PositiveIntegerField(editable=False, help_text="Inputs.")
    done = models.PositiveIntegerField(default=0, editable=False, help_text="Inputs with a result.")
    unreadable = models.PositiveIntegerField(default=0, editable=False)
    parts = models.JSONField(
        default=list, editable=False, help_text="Which attempt has classified which inputs."
    )
    result_key = models.CharField(max_length=200, blank=True, editable=False)
    result_size = models.PositiveBigIntegerField(null=True, editable=False, help_text="Bytes.")
    message = models.CharField(max_length=500, blank=True, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Attempts in a row that died without any progress."
    )
    worker = models.CharField(max_length=200, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, editable=False)
    announced_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                name="batch_state_known",
                condition=Q(
                    state__in=["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
                ),
            ),
            models.CheckConstraint(name="batch_done_within_total", condition=Q(done__lte=models.F("total"))),
        ]
        indexes = [
            models.Index(fields=["state", "queued_at"]),
            models.Index(fields=["owner", "-created_at"]),
            models.Index(fields=["expires_at"]),
        ]

    def __str__(self) -> str:
        return self.source_name

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in self.UNFINISHED

    @property
    def percent(self) -> float:
        """How much of it is done."""
        return 100 * self.done / self.total if self.total else 0.0
