"""The tables of training jobs and of live workers."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.indexes import PrefixIndex
from core.models import OwnedQuerySet
from core.names import validate_name
from documents import keys
from documents.outbox import mark_changed
from models_registry.models import Project, RegisteredModel, TaskType
from work.models import LeasedQuerySet, LeasedWork, State, WorkState

from ..datasets.models import Dataset
from ..engine.catalogue import get_architecture
from ..engine.specs.hyperparameters import IN_DOCUMENTS, OPTIMIZER, Hyperparameters, TrainConfig, completed
from ..engine.specs.strategies import DEFAULT_STRATEGY, find_strategy, strategy_choices
from ..examples.models import Revision
from ..task_names import RUN_TRAINING_JOB
from .phases import where_it_goes_on
from .progress import JobProgress
from .validators import OptionValidator, validate_advanced, validate_plateau, validate_step


class TrainingJobQuerySet(OwnedQuerySet, LeasedQuerySet):  # type: ignore[override]  # as_manager of django-stubs
    """Queries about jobs."""

    def queued(self) -> TrainingJobQuerySet:
        """Jobs that no worker holds, in the order in which they are to start: by priority, then as they came."""
        return self.filter(state=State.QUEUED).order_by("-priority", "queued_at", "pk")

    def startable(self, now: datetime) -> TrainingJobQuerySet:
        """Queued jobs that may start now; others wait for their data, or a while for room on the worker."""
        ready = self.queued().filter(dataset__state=Dataset.State.READY)
        return ready.filter(Q(not_before__isnull=True) | Q(not_before__lte=now))

    def ahead_of(self, job: TrainingJob) -> TrainingJobQuerySet:
        """Queued jobs that will start before this one."""
        before = Q(queued_at__lt=job.queued_at) | Q(queued_at=job.queued_at, pk__lt=job.pk)
        before = Q(priority__gt=job.priority) | Q(before, priority=job.priority)
        return self.queued().filter(before, queue=job.queue)


class TrainingJob(LeasedWork):
    """One accepted request to train a model. It ends in exactly one final state."""

    TASK = RUN_TRAINING_JOB
    SETTINGS = (*IN_DOCUMENTS, "advanced")  # the fields that hold hyperparameters

    class Origin(models.TextChoices):
        """The way by which a job was submitted."""

        FORM = "form", "form"
        REST = "rest", "REST"
        SHELL = "shell", "shell"
        DOCUMENT = "document", "document in the bucket"
        RETRY = "retry", "retry of another job"

    token = models.CharField(max_length=160, unique=True, editable=False)
    public_id = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="The model's; its files are named by it."
    )
    name = models.CharField(
        max_length=100,
        validators=[validate_name],
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="training_jobs", null=True
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="training_jobs", editable=False
    )
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="jobs")
    revision = models.ForeignKey(
        Revision,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="jobs",
        help_text="What is trained on; empty until the first training of a data set has listed its examples.",
    )
    task_type = models.CharField(max_length=24, choices=TaskType)
    architecture = models.CharField(max_length=80)
    strategy = models.CharField(max_length=16, choices=strategy_choices, default=DEFAULT_STRATEGY)
    downloadable = models.BooleanField(default=True)

    # Empty: the strategy chooses. `effective` has what is used then.
    optimizer = models.CharField(max_length=8, choices=list(OPTIMIZER.words.items()), blank=True, default="")
    learning_rate = models.FloatField(null=True, blank=True, validators=[OptionValidator("learning_rate")])
    batch_size = models.PositiveIntegerField(
        null=True, blank=True, validators=[OptionValidator("batch_size")]
    )
    epochs = models.PositiveIntegerField(null=True, blank=True, validators=[OptionValidator("epochs")])
    data_split = models.CharField(
        max_length=9,
        default="70 : 30",
        validators=[RegexValidator(r"^\d{1,2} : \d{1,2}$", 'Write it as "70 : 30": training : validation.')],
    )
    reduce_lr_on_plateau = models.JSONField(null=True, blank=True, validators=[validate_plateau])
    step_lr = models.JSONField(null=True, blank=True, validators=[validate_step])
    advanced = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_advanced],
        help_text="Further settings; what is missing is the strategy's choice.",
    )
    seed = models.PositiveIntegerField(default=0, validators=[OptionValidator("seed")])
    priority = models.SmallIntegerField(
        default=0, help_text="Jobs with a higher number start first; equal ones in the order they came."
    )
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.FORM, editable=False)

    queue = models.CharField(max_length=16, default="cpu", editable=False)
    swept_attempt = models.PositiveIntegerField(
        default=0, editable=False, help_text="Attempts up to this one have left nothing in the bucket."
    )
    not_before = models.DateTimeField(
        null=True, editable=False, help_text="A queued job that waits for room on a worker starts no earlier."
    )
    spent = models.DurationField(
        default=timedelta, editable=False, help_text="What earlier attempts took of the time limit."
    )
    progress = models.JSONField(default=dict, editable=False)  # `JobProgress`; read it as `how_far`
    log_tail = models.TextField(blank=True, editable=False)
    registered_model = models.OneToOneField(
        RegisteredModel, on_delete=models.PROTECT, null=True, editable=False, related_name="training_job"
    )

    objects = TrainingJobQuerySet.as_manager()

    class Meta:
        verbose_name = "training job"
        ordering = ("-created_at",)
        indexes = [
            models.Index(name="job_in_queue", fields=["state", "-priority", "queued_at"]),
            models.Index(fields=["state", "-finished_at"]),
            models.Index(name="job_state_created", fields=["state", "created_at"]),
            models.Index(name="job_task_created", fields=["task_type", "created_at"]),
            models.Index(name="job_strategy_created", fields=["strategy", "created_at"]),
            models.Index(name="job_origin_created", fields=["origin", "created_at"]),
            models.Index(fields=["owner", "-created_at"]),
            PrefixIndex(name="job_name_start", fields=["name"]),
            models.Index(name="job_unswept", fields=["id"], condition=Q(attempt__gt=F("swept_attempt"))),
        ]
        constraints = [
            *LeasedWork.Meta.constraints,
            models.CheckConstraint(
                name="job_succeeded_has_model",
                condition=Q(state="succeeded", registered_model__isnull=False)
                | (~Q(state="succeeded") & Q(registered_model__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def error(self) -> str:
        """Why the job has failed, for its owner; "" while it has not."""
        return self.message if self.state == State.FAILED else ""

    @property
    def how_far(self) -> JobProgress:
        """What the row's progress says; of a job that waits, with the reason."""
        progress = JobProgress.from_json(self.progress)
        # A row that an older release left in the queue has the reason in its progress alone.
        waits_because = self.message if self.state == State.QUEUED else ""
        return replace(progress, message=waits_because) if waits_because else progress

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What the owner has set."""
        columns = {name: getattr(self, name) for name in IN_DOCUMENTS}
        return Hyperparameters(**columns | {"optimizer": self.optimizer or None}, **self.advanced)

    @property
    def budget_minutes(self) -> int | None:
        """The minutes that were given to a training by Best."""
        minutes: int | None = self.advanced.get("budget_minutes")
        return minutes

    @property
    def effective(self) -> TrainConfig:
        """All settings with their values, chosen by the owner or the strategy."""
        given = self.hyperparameters
        kind = get_architecture(self.architecture).kind
        spec = find_strategy(self.strategy)
        return completed(given, spec.config(kind, layers=given.trainable, optimizer=given.optimizer))

    @property
    def queued_for(self) -> timedelta:
        """How long the job waited for a worker, or has waited so far."""
        waited = (self.started_at or self.finished_at or timezone.now()) - self.queued_at - self.spent
        return max(waited, timedelta())

    @property
    def running_for(self) -> timedelta:
        """How long workers have worked on the job, in all attempts; zero before it starts."""
        if self.started_at is None:
            return self.spent
        return self.spent + (self.finished_at or timezone.now()) - self.started_at

    def goes_on(self) -> str:
        """Return the epoch that the next attempt begins with, as the end of a sentence."""
        return where_it_goes_on(self.how_far)

    def changes_on(self, target: WorkState, reason: str) -> dict[str, object]:
        """Keep the progress of an interrupted job, add up its time, and let the files of one that ended be swept."""
        if target == State.RUNNING:
            return {"not_before": None, "progress": self.how_far.kept("claimed").to_json()}
        if target == State.QUEUED:
            now = timezone.now()
            return {
                "spent": self.spent + (now - (self.started_at or now)),
                "progress": self.how_far.kept("queued").to_json(),
            }
        # A checkpoint may lie in the bucket, also of a job that was queued: reconcile looks once more.
        return {"swept_attempt": 0} if target in (State.FAILED, State.CANCELLED) else {}

    def after_step(self, target: WorkState, reason: str) -> None:
        """Mark the documents that show jobs as changed."""
        mark_changed(keys.STATUS)
        mark_changed(keys.TRAINING)


class WorkerHeartbeat(models.Model):
    """The last sign of life of a worker process."""

    name = models.CharField(max_length=128, primary_key=True)
    queues = models.JSONField(default=list)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    slots = models.PositiveSmallIntegerField(default=1, help_text="Jobs at a time.")
    ready = models.BooleanField(default=False, help_text="The backbones are prepared.")

    ALIVE = timedelta(seconds=30)

    class Meta:
        verbose_name = "worker"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def is_alive(self) -> bool:
        """Whether the worker has renewed its row within `ALIVE`."""
        return self.seen_at > timezone.now() - self.ALIVE
