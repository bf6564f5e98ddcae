"""Admin pages of jobs, and what training adds to those of models."""

from dataclasses import replace
from types import MappingProxyType

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from core.admin.base import MachineOwnedAdmin, link_to
from core.admin.confirmation import Confirmation, FormValues, confirmed
from core.templatetags.durations import short
from models_registry.admin import RegisteredModelAdmin, TokenAdmin
from models_registry.models import RegisteredModel

from ..engine.catalogue import ARCHITECTURES
from ..jobs.models import TrainingJob
from ..jobs.phases import progress_in_words
from ..jobs.services import cancel_job, repeat_job, requeue_job, retry_job, set_priority

State = TrainingJob.State
OVER = (State.FAILED, State.CANCELLED)
PRIORITIES = (-100, 100)
RUNNING_LISTED = 6  # above the list


TRAIN_AGAIN = Confirmation(
    title="Train again",
    does="Each becomes a new job with the same data and settings; the models that there are stay.",
    undo="The new jobs can be cancelled.",
    done="Trained again.",
)


class QueueFilter(admin.SimpleListFilter):
    """A filter by queue, for unfinished jobs: the queue of one that has ended has no meaning."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("cpu", "cpu, not ended"), ("gpu", "gpu, not ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
        """Return the rows of the chosen queue."""
        here = Q(queue=self.value(), state__in=TrainingJob.UNFINISHED)
        return queryset.filter(here) if self.value() else queryset


class NetworkFilter(admin.SimpleListFilter):
    """A filter by network of the catalogue; reading the networks from the table would scan all of it."""

    title = "network"
    parameter_name = "network"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Return the networks of the catalogue."""
        return [(name, one.label) for name, one in ARCHITECTURES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
        """Return the rows of the chosen network."""
        return queryset.filter(architecture=self.value()) if self.value() else queryset


class PriorityForm(forms.Form):
    """The priority that an action sets."""

    priority = forms.IntegerField(
        min_value=PRIORITIES[0],
        max_value=PRIORITIES[1],
        initial=10,
        help_text="Jobs with a higher number start first; 0 is usual. It changes nothing for one that runs.",
        widget=UnfoldAdminIntegerFieldWidget,
    )


@admin.register(TrainingJob)
class TrainingJobAdmin(TokenAdmin, MachineOwnedAdmin):
    """Jobs. Actions change their state; the form edits the priority only."""

    list_display = (
        "name",
        "state_label",
        "progress_now",
        "task_type",
        "how",
        "owner",
        "model_link",
        "took",
        "created",
    )
    list_filter = ("state", "task_type", "strategy", QueueFilter, "origin")
    list_select_related = ("owner",)
    list_before_template = "admin/training/running.html"
    search_start = "name"
    search_secret = "token"  # noqa: S105 - a column
    linked_by = ("owner", "dataset")
    searches_owner = True
    search_help_text = "Beginning of the name, whole token, or owner"
    date_hierarchy = "created_at"
    actions = ("cancel", "requeue", "retry", "repeat", "prioritise")
    actions_detail = ("cancel", "requeue", "retry", "repeat")
    editable = ("priority",)
    fieldsets = (
        (None, {"fields": ("name", "state_label", "progress_now", "priority", "owner", "error")}),
        (
            "Source and result",
            {"fields": ("dataset_link", "model_link", "token_whole", "origin")},
        ),
        (
            "Settings",
            {
                "fields": (
                    *("task_type", "architecture", "strategy", "data_split", "seed", "downloadable"),
                    *("optimizer", "learning_rate", "batch_size", "epochs"),
                    *("reduce_lr_on_plateau", "step_lr", "advanced"),
                )
            },
        ),
        (
            "Queue and worker",
            {
                "fields": (
                    *("queue", "queued_at", "announced_at", "not_before", "started_at", "finished_at"),
                    *("spent", "took", "worker", "attempt", "failures", "lease_expires_at", "swept_attempt"),
                )
            },
        ),
        ("Log", {"fields": ("log", "progress")}),
    )

    deferred = ("log_tail", "advanced", "reduce_lr_on_plateau", "step_lr")
    state_kinds = MappingProxyType(
        {"succeeded": "success", "failed": "danger", "running": "info", "cancelling": "warning"}
    )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow edits of the priority of queued jobs only."""
        allowed = self.has_operate_permission(request)
        return allowed and (not isinstance(obj, TrainingJob) or obj.state == State.QUEUED)

    def get_readonly_fields(self, request: HttpRequest, obj: TrainingJob | None = None) -> list[str]:
        written = ("state_label", "progress_now", "error", "took", "dataset_link", "model_link", "log")
        fields = [field.name for field in TrainingJob._meta.fields if field.name not in self.editable]
        return [*fields, *written, "token_whole", "token_masked"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show the running jobs above the list."""
        running = TrainingJob.objects.running().select_related("owner").defer("log_tail")[:RUNNING_LISTED]
        told = [(job, progress_in_words(job.state, job.how_far)) for job in running]
        return super().changelist_view(request, {**(extra_context or {}), "running_jobs": told})

    def save_model(self, request: HttpRequest, obj: TrainingJob, form: forms.ModelForm, change: bool) -> None:
        """Write the priority only: a worker may have changed the rest of the row meanwhile."""
        set_priority(job=obj, priority=obj.priority)

    def describe(self, row: TrainingJob) -> str:
        """Tell jobs of the same name apart."""
        words = [row.get_state_display(), str(row.get_task_type_display())]
        words += [f"of {row.owner}"] if row.owner_id else []
        return ", ".join([*words, f"from {row.created_at:%d %B %Y %H:%M}"])

    @admin.display(description="strategy", ordering="strategy")
    def how(self, job: TrainingJob) -> str:
        """Return the strategy's name."""
        return job.strategy

    @admin.display(description="progress")
    def progress_now(self, job: TrainingJob) -> str:
        """Return the phase and progress of a running job, why a queued one waits, and where a failed one stopped."""
        if job.state in (State.QUEUED, State.SUCCEEDED, State.CANCELLED):
            return job.how_far.message if job.state == State.QUEUED else ""
        if job.state == State.FAILED and not job.progress:
            return ""
        return progress_in_words(job.state, job.how_far)

    @admin.display(description="took")
    def took(self, job: TrainingJob) -> str:
        """Return how long the job ran."""
        return short(job.running_for) if job.running_for else ""

    @admin.display(description="model")
    def model_link(self, job: TrainingJob) -> str:
        """Return a link to the job's model."""
        if job.registered_model_id is None:
            return ""
        address = reverse("admin:models_registry_registeredmodel_change", args=[job.registered_model_id])
        return format_html('<a href="{}" class="admin-link">show</a>', address)

    @admin.display(description="data set")
    def dataset_link(self, job: TrainingJob) -> str:
        """Return a link to the job's data set."""
        return link_to(job.dataset)

    @admin.display(description="log")
    def log(self, job: TrainingJob) -> str:
        """Return the end of the log."""
        return format_html('<pre class="admin-log">{}</pre>', job.log_tail) if job.log_tail else ""

    @confirmed(
        Confirmation(
            title="Cancel",
            does="Jobs that wait end at once, running ones within seconds. Their progress is lost.",
            undo="",
            done="Cancelled.",
            fits=lambda job: not job.is_final,
            needs="jobs that have not ended",
        ),
        permission="operate",
        icon="cancel",
    )
    def cancel(self, request: HttpRequest, job: TrainingJob, values: FormValues) -> None:
        """End a job."""
        cancel_job(job=job)

    @confirmed(
        Confirmation(
            title="Put back into the queue",
            does="Running jobs are taken from their workers and wait again; waiting ones are announced once more.",
            undo="Nothing is lost: they go on from their last checkpoint.",
            done="Put back into the queue.",
            fits=lambda job: job.state in (State.RUNNING, State.QUEUED),
            needs="running and queued jobs",
        ),
        permission="operate",
        icon="restart_alt",
    )
    def requeue(self, request: HttpRequest, job: TrainingJob, values: FormValues) -> None:
        """Take a running job from its worker, and announce a queued one again."""
        requeue_job(job=job)

    @confirmed(
        Confirmation(
            title="Try again",
            does="Each becomes a new job of the same owner, with the same data and settings.",
            undo="The new jobs can be cancelled.",
            done="Tried again.",
            fits=lambda job: job.state in OVER,
            needs="jobs that failed or were cancelled",
        ),
        permission="operate",
        icon="replay",
    )
    def retry(self, request: HttpRequest, job: TrainingJob, values: FormValues) -> None:
        """Submit a job that failed or was cancelled once more."""
        retry_job(job=job, owner=job.owner)

    @confirmed(
        replace(TRAIN_AGAIN, fits=lambda job: job.state == State.SUCCEEDED, needs="jobs that succeeded"),
        permission="operate",
        icon="model_training",
    )
    def repeat(self, request: HttpRequest, job: TrainingJob, values: FormValues) -> None:
        """Submit a job that succeeded once more."""
        repeat_job(job=job, owner=job.owner)

    @confirmed(
        Confirmation(
            title="Change the priority",
            does="Waiting jobs change their place in the queue.",
            undo="The priority can be changed again until they start.",
            done="Priority changed.",
            fits=lambda job: job.state == State.QUEUED,
            needs="jobs in the queue",
            form=PriorityForm,
        ),
        permission="operate",
        icon="low_priority",
    )
    def prioritise(self, request: HttpRequest, job: TrainingJob, values: FormValues) -> None:
        """Set a job's priority."""
        set_priority(job=job, priority=values["priority"])


@admin.register(RegisteredModel)
class TrainedModelAdmin(RegisteredModelAdmin):
    """Models, with the job and the data set that they come from."""

    actions = (*RegisteredModelAdmin.actions, "retrain")
    list_filter = (*RegisteredModelAdmin.list_filter, NetworkFilter)
    actions_detail = ("retrain", *RegisteredModelAdmin.actions_detail)
    readonly_fields = (*RegisteredModelAdmin.readonly_fields, "job_link", "dataset_link")
    fieldsets = (
        *RegisteredModelAdmin.fieldsets,
        ("Source", {"fields": ("job_link", "dataset_link")}),
    )

    def has_retrain_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this person may submit jobs for others."""
        return bool(request.user.has_perm("training.change_trainingjob"))

    @admin.display(description="job")
    def job_link(self, model: RegisteredModel) -> str:
        """Return a link to the job that trained the model."""
        return link_to(self._job(model))

    @admin.display(description="data set")
    def dataset_link(self, model: RegisteredModel) -> str:
        """Return a link to the data set that the model was trained on."""
        job = self._job(model)
        return link_to(job.dataset if job else None)

    @confirmed(
        replace(
            TRAIN_AGAIN,
            fits=lambda model: model.origin == RegisteredModel.Origin.TRAINED,
            needs="models that were trained here",
        ),
        permission="retrain",
        icon="model_training",
    )
    def retrain(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Submit the job that made a model once more."""
        job = TrainingJob.objects.select_related("dataset", "owner").get(registered_model=model)
        repeat_job(job=job, owner=model.owner)

    @staticmethod
    def _job(model: RegisteredModel) -> TrainingJob | None:
        return TrainingJob.objects.select_related("dataset").filter(registered_model=model).first()
