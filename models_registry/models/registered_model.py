"""The registry: models that are (or were) live, and the files that make them up."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from core.indexes import PrefixIndex
from core.models import OwnedQuerySet, TimestampedModel
from core.names import validate_name

from ..artifacts.model_metrics import Interval, TestSet, interval_of, test_set_of
from .project import Project, production_under
from .task_type import TaskType

UNCHECKED = "Its files have not been looked at yet; that takes up to a minute."  # of models from outside


class RegisteredModelQuerySet(OwnedQuerySet):
    """Questions about models in the words of the domain."""

    def live(self) -> RegisteredModelQuerySet:
        """Models that are in inference.json: they predict, or wait for the clean-up since their time is over."""
        return self.filter(state=RegisteredModel.State.LIVE)

    def serving(self) -> RegisteredModelQuerySet:
        """Live models whose time is not over, by the database's clock: those that answer to their token."""
        unlimited = Q(pinned=True) | Q(expires_at__isnull=True)
        return self.live().filter(unlimited | Q(expires_at__gt=Now()))

    def answering_to(self, token: str) -> RegisteredModelQuerySet:
        """The model that serves under a token: its own, or that of a project whose production version it is."""
        return self.serving().named(token)

    def named(self, token: str) -> RegisteredModelQuerySet:
        """The model of a token: its own, or that of a project in service whose production version it is."""
        return self.filter(Q(token=token) | Q(pk=production_under(token, in_service=True)))

    def expired(self, now: datetime) -> RegisteredModelQuerySet:
        """Live models whose time is over and that nobody pinned."""
        return self.live().filter(pinned=False, expires_at__lte=now)

    def awaiting_deletion(self, now: datetime) -> RegisteredModelQuerySet:
        """Retired models, which the next clean-up deletes, and those it was deleting when it stopped.

        One that vanished from inference.json gets a day: the program that removed it may have
        written an old copy of the document back by mistake.
        """
        spared = Q(retired_by_document=True, retired_at__gt=now - RegisteredModel.SPARED)
        return self.filter(
            Q(state=RegisteredModel.State.DELETING) | Q(~spared, state=RegisteredModel.State.RETIRED)
        )


class RegisteredModel(TimestampedModel):
    """A trained classifier under its token."""

    class State(models.TextChoices):
        """live → retired (can be restored) → deleting → deleted; live → deleting on expiry."""

        LIVE = "live", "live"
        RETIRED = "retired", "retired"
        DELETING = "deleting", "being deleted"
        DELETED = "deleted", "deleted"

    class Origin(models.TextChoices):
        """How a model came to be here."""

        TRAINED = "trained", "trained here"
        IMPORTED = "imported", "taken from inference.json"

    SPARED = timedelta(days=1)

    token = models.CharField(max_length=160, unique=True, editable=False)
    public_id = models.UUIDField(
        default=uuid.uuid4,
        unique=True,
        editable=False,
        help_text="Names the model where its token must not stand: its files may be published.",
    )
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="versions", editable=False)
    version = models.PositiveIntegerField(editable=False, help_text="Counts the models of the project.")
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.TRAINED, editable=False)
    name = models.CharField(
        max_length=100,
        validators=[validate_name],
    )
    description = models.TextField(
        blank=True,
        max_length=4000,
        help_text="What the model is for, and what it is not for, in your own words.",
    )
    notes = models.TextField(
        blank=True, max_length=4000, help_text="What is new in this version, for who works on the project."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="registered_models", null=True
    )
    task_type = models.CharField(max_length=24, choices=TaskType, editable=False)
    architecture = models.CharField(max_length=80, editable=False)
    strategy = models.CharField(max_length=16, editable=False)
    classes = models.JSONField(default=list, editable=False)
    state = models.CharField(max_length=12, choices=State, default=State.LIVE, editable=False)
    downloadable = models.BooleanField(
        default=True, help_text="Whoever has the token may download the files."
    )
    pinned = models.BooleanField(default=False, help_text="Never expires.")
    accuracy = models.FloatField(editable=False, help_text="Percent of the validation part.")
    accuracy_plot = models.TextField(blank=True, editable=False)
    metrics = models.JSONField(default=dict, editable=False)
    live_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    last_used_at = models.DateTimeField(
        null=True, editable=False, help_text="To an hour; the use of each day is counted apart."
    )
    retired_at = models.DateTimeField(null=True, editable=False)
    retired_by_document = models.BooleanField(
        default=False, editable=False, help_text="Somebody removed the model from inference.json."
    )
    unusable_because = models.TextField(
        blank=True, editable=False, help_text="Why the model cannot predict; empty when it can."
    )
    checked_at = models.DateTimeField(
        null=True, editable=False, help_text="When files that were not made here were last looked at."
    )
    has_outside_files = models.BooleanField(
        default=False, editable=False, help_text="Somebody else named its files, in inference.json."
    )
    broken_limits = models.PositiveIntegerField(
        default=0, editable=False, help_text="Runs that needed more time or memory than they may have."
    )

    objects = RegisteredModelQuerySet.as_manager()

    _asked_by = ""

    class Meta:
        verbose_name = "model"
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                name="accuracy_is_percent", condition=Q(accuracy__gte=0) & Q(accuracy__lte=100)
            ),
            models.CheckConstraint(
                name="model_state_known",
                condition=Q(state__in=["live", "retired", "deleting", "deleted"]),
            ),
            models.CheckConstraint(
                name="model_task_known",
                condition=Q(task_type__in=TaskType.values),
            ),
            models.UniqueConstraint(name="version_once_in_a_project", fields=["project", "version"]),
        ]
        indexes = [
            models.Index(fields=["state", "expires_at"]),
            models.Index(name="model_state_created", fields=["state", "created_at"]),
            PrefixIndex(name="model_name_start", fields=["name"]),
            models.Index(fields=["owner", "-created_at"]),
            models.Index(name="model_unusable", fields=["checked_at"], condition=~Q(unusable_because="")),
        ]

    def __str__(self) -> str:
        return self.name

    def under(self, token: str) -> RegisteredModel:
        """Note the token that the caller named, which is the one to show."""
        self._asked_by = token
        return self

    @property
    def shown_token(self) -> str:
        """The token that the caller named: the model's own, or its project's, whose holder may not know the other."""
        return self._asked_by or self.token

    @property
    def is_live(self) -> bool:
        """Whether the model predicts, or has until its time was over."""
        return self.state == self.State.LIVE

    @property
    def is_serving(self) -> bool:
        """Whether the model answers to its token."""
        return self.is_live and self.time_left != timedelta()

    @property
    def is_external(self) -> bool:
        """Whether its files may be anybody's, so that they are opened in a sandbox alone."""
        return self.origin == self.Origin.IMPORTED or self.has_outside_files

    @property
    def classes_to_tell(self) -> list[str]:
        """The classes that a file of others may not name itself; ours do."""
        external = self.origin == self.Origin.IMPORTED and self.task_type == TaskType.IMAGE
        return self.classes if external else []

    @property
    def test_set(self) -> TestSet | None:
        """How good the model is on the test part of its data; None where the data have none."""
        return test_set_of(self.metrics)

    @property
    def accuracy_interval(self) -> Interval | None:
        """How far the accuracy may be from that on new examples; None where that was not measured."""
        return interval_of(self.metrics)

    @property
    def time_left(self) -> timedelta | None:
        """How long until the model expires (never negative); None for a model that does not."""
        if self.pinned or self.expires_at is None:
            return None
        return max(self.expires_at - timezone.now(), timedelta())


class Artifact(models.Model):
    """One file of a model in the bucket, with what is needed to trust it."""

    class Kind(models.TextChoices):
        """The files a model can have."""

        ONNX = "onnx", "ONNX"
        TORCHSCRIPT = "torchscript", "PyTorch (TorchScript)"
        METADATA = "metadata", "metadata"
        ONNX_INT8 = "onnx-int8", "ONNX, a quarter of the size (8 bits)"
        EVALUATION = "evaluation", "evaluation (JSON)"

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="artifacts")
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.CharField(max_length=400, unique=True)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(
        max_length=64,
        blank=True,
        validators=[RegexValidator(r"^[0-9a-f]{64}$")],
        help_text="Empty for a file of others that could not be read yet.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(name="one_artifact_of_a_kind", fields=["model", "kind"])]
        ordering = ("kind",)

    def __str__(self) -> str:
        return self.key
