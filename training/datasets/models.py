"""Data sets, and their validation by a worker."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.indexes import PrefixIndex
from core.models import OwnedQuerySet, TimestampedModel
from models_registry.models import Project, TaskType
from work.models import LeasedQuerySet, LeasedWork, State, WorkState

from ..task_names import VALIDATE_DATASET
from .signals import dataset_unusable


class DatasetQuerySet(OwnedQuerySet):
    """Data sets."""

    def make_unusable(self, pk: int, reason: str) -> None:
        """Note why a data set cannot be trained on, and tell who waits for it (`signals.dataset_unusable`)."""
        self.filter(pk=pk).update(state=Dataset.State.UNUSABLE, reason=reason, updated_at=timezone.now())
        dataset_unusable.send(sender=Dataset, dataset_id=pk, reason=reason)


class Dataset(TimestampedModel):
    """An uploaded data set, validated once and usable by many jobs."""

    class State(models.TextChoices):
        """Large ones are validated by a worker, and become ready or unusable then."""

        VALIDATING = "validating", "being checked"
        READY = "ready", "ready"
        UNUSABLE = "unusable", "unusable"

    state = models.CharField(max_length=12, choices=State, default=State.READY, editable=False)
    reason = models.TextField(blank=True, editable=False, help_text="Why it cannot be trained on.")
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="datasets", null=True
    )
    task_type = models.CharField(max_length=24, choices=TaskType)
    key = models.CharField(max_length=400, unique=True, help_text="Where the file lies in the bucket.")
    original_name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    columns = models.JSONField(
        default=dict, blank=True, help_text="Texts: which column is the input, which the label."
    )
    corrections = models.JSONField(
        default=dict, blank=True, help_text="What was said against the guess of what is in it."
    )
    classes = models.JSONField(default=list, blank=True)
    examples = models.PositiveIntegerField()
    report = models.JSONField(default=dict, blank=True, help_text="What the validation found.")

    objects = DatasetQuerySet.as_manager()

    class Meta:
        verbose_name = "data set"
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["owner", "-created_at"]),
            models.Index(name="dataset_state_created", fields=["state", "created_at"]),
            PrefixIndex(name="dataset_name_start", fields=["name"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="dataset_state_known", condition=Q(state__in=["validating", "ready", "unusable"])
            ),
            models.CheckConstraint(
                name="dataset_task_known",
                condition=Q(task_type__in=TaskType.values),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_ready(self) -> bool:
        """Whether it can be trained on."""
        return self.state == self.State.READY

    @property
    def learnt_by(self) -> Project | None:
        """A project whose examples lie in it; None where there is none."""
        for example in self.project_examples.order_by().select_related("project")[:1]:
            return example.project
        return None


class DatasetValidationQuerySet(LeasedQuerySet):
    """What every kind of work is asked, and no more."""


class DatasetValidation(LeasedWork):
    """A worker's reading of a data set that is too large to be read while its owner waits."""

    TASK = VALIDATE_DATASET

    queue = models.CharField(
        max_length=16,
        default="batches",
        editable=False,
        help_text="Not behind trainings, which may take hours.",
    )
    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, related_name="validation")
    done = models.PositiveIntegerField(default=0, help_text="Examples that have been read.")
    total = models.PositiveIntegerField(default=0, help_text="Of how many; 0 where nobody knows before.")
    swept = models.BooleanField(
        default=False, help_text="The file of an unusable data set has been deleted in the bucket."
    )

    objects = DatasetValidationQuerySet.as_manager()

    class Meta(LeasedWork.Meta):
        verbose_name = "validation"

    def __str__(self) -> str:
        return f"Validation of data set {self.dataset_id}"

    def changes_on(self, target: WorkState, reason: str) -> dict[str, object]:
        """An attempt begins with the first example, wherever the one before it has ended."""
        return {"done": 0, "total": 0} if target == State.RUNNING else {}

    def after_step(self, target: WorkState, reason: str) -> None:
        """A data set that could not be validated cannot be trained on."""
        if target in (State.FAILED, State.CANCELLED):
            Dataset.objects.make_unusable(self.dataset_id, reason or "Its validation was cancelled.")
