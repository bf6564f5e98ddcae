"""The table of batches."""

import secrets
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.models import OwnedQuerySet
from models_registry.models import RegisteredModel
from work.models import FINAL, LeasedQuerySet, LeasedWork, State, WorkState

RUN_BATCH = "inference.run_batch"
QUEUE = "batches"
LABELS = [
    (state, {"cancelling": "being cancelled", "succeeded": "done"}.get(state, state.label)) for state in State
]

new_identifier = partial(secrets.token_hex, 16)  # 128 bits: who knows it may see the batch


class BatchQuerySet(OwnedQuerySet, LeasedQuerySet):  # type: ignore[override]  # as_manager of django-stubs
    """Queries about batches."""

    def expired(self, now: datetime) -> "BatchQuerySet":
        """Batches whose result has been kept for long enough."""
        return self.filter(expires_at__lte=now)


class Batch(LeasedWork):
    """Many inputs in one file, classified in the background; the row is the truth about its progress."""

    TASK = RUN_BATCH

    identifier = models.CharField(max_length=32, unique=True, default=new_identifier, editable=False)
    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="batches", editable=False
    )
    token = models.CharField(
        max_length=160,
        blank=True,
        editable=False,
        help_text="That was asked: the model's own, or its project's; empty: not known.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="batches",
        null=True,
        editable=False,
    )
    state = models.CharField(max_length=12, choices=LABELS, default=State.QUEUED, editable=False)
    queue = models.CharField(max_length=16, default=QUEUE, editable=False)
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
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Attempts in a row that died without any progress."
    )
    expires_at = models.DateTimeField(null=True, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-created_at",)
        constraints = [
            *LeasedWork.Meta.constraints,
            models.CheckConstraint(name="batch_done_within_total", condition=Q(done__lte=models.F("total"))),
        ]
        indexes = [
            *LeasedWork.Meta.indexes,
            models.Index(fields=["owner", "-created_at"]),
            models.Index(fields=["expires_at"]),
        ]

    def __str__(self) -> str:
        return self.source_name

    @property
    def percent(self) -> float:
        """The done part of the inputs in percent."""
        return 100 * self.done / self.total if self.total else 0.0

    def changes_on(self, target: WorkState, reason: str) -> dict[str, object]:
        """Set until when a batch that ends is kept."""
        if target in FINAL:
            return {"expires_at": timezone.now() + settings.TRAINYARD["BATCH_RETENTION"]}
        return {}
