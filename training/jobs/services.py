"""Writes of jobs: submit, cancel, retry, requeue, prioritise. Each function is one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from control.models import PlatformStatus
from control.selectors import require_operation
from core.exceptions import InvalidRequest, MaintenanceMode, PlatformBusy, TrainyardError
from core.models import check_fields
from models_registry.models import Project, TaskType
from models_registry.projects.services import create_project
from models_registry.tokens import new_token
from work import transitions
from work.queue import announce

from ..datasets.language import language_of
from ..datasets.models import Dataset
from ..datasets.services import require_ready
from ..engine.data import DataError, parse_data_split
from ..engine.specs.hyperparameters import ADVANCED, contradiction
from ..engine.specs.options import Values
from ..engine.specs.strategies import DEFAULT_STRATEGY
from ..examples.models import Revision
from ..examples.revisions import next_revision, require_trainable, shards_of
from ..networks.selectors import find_network, is_allowed
from .models import TrainingJob
from .presets import suitable_network
from .routing import route
from .tokens import require_free_token

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class JobSettings:
    """How to train. None leaves a choice to the strategy."""

    architecture: str | None = None
    strategy: str = DEFAULT_STRATEGY
    data_split: str = "70 : 30"
    downloadable: bool = True
    seed: int = 0
    more: Values = field(default_factory=dict)  # fields of TrainingJob by name

    @classmethod
    def of(cls, job: TrainingJob) -> "JobSettings":
        """Return the settings of a job, to submit it again."""
        return cls(
            architecture=job.architecture,
            strategy=job.strategy,
            data_split=job.data_split,
            downloadable=job.downloadable,
            seed=job.seed,
            more={name: getattr(job, name) for name in TrainingJob.SETTINGS},
        )

    def fields(self) -> Values:
        """Return the columns of a job, all but its architecture; those that the strategy chooses are left out."""
        return {
            "strategy": self.strategy,
            "data_split": self.data_split,
            "downloadable": self.downloadable,
            "seed": self.seed,
            "queue": route(self.strategy),
            **{name: value for name, value in self.more.items() if value is not None},
        }


def settings_by_field(given: Mapping[str, Any]) -> Values:
    """Return settings, given flat by their names, as fields of a job: the further ones lie in `advanced`."""
    fields = {name: value for name, value in given.items() if name not in ADVANCED}
    further = {name: value for name, value in given.items() if name in ADVANCED}
    return {**fields, "advanced": {**fields.get("advanced", {}), **further}} if further else fields


class TooManyJobs(PlatformBusy):
    """A limit of unfinished jobs is reached, the user's or the platform's."""

    def __init__(self, words: str) -> None:
        TrainyardError.__init__(self, words)


def submit_job(
    *,
    owner: User | None,
    dataset: Dataset,
    name: str,
    choice: JobSettings,
    token: str | None = None,
    origin: str = TrainingJob.Origin.FORM,
    waits_for_data: bool = False,
    project: Project | None = None,
    revision: Revision | None = None,
) -> TrainingJob:
    """Accept a job. Raises `InvalidRequest`, `MaintenanceMode` or `PlatformBusy`.

    Its model becomes a version of `project`, whose owner's it then is; None makes a project of the job's name.
    `revision`, one of the project, is what is trained on instead of the data set as it came.
    `waits_for_data` accepts a data set that a worker is still validating: the job waits for it, and fails with it.
    `token` is that of a job from a document, which names its own; None makes one.
    """
    require_operation()
    if token is not None:
        require_free_token(token)
    owner = project.owner if project is not None else owner
    job = TrainingJob(
        project=project,
        revision=revision,
        token=token or new_token(dataset.task_type, name),
        name=name.strip(),
        owner=owner,
        dataset=dataset,
        task_type=dataset.task_type,
        architecture=_architecture(dataset.task_type, choice, language_of(dataset.report)),
        origin=origin,
        **choice.fields(),
    )
    _check(job)
    return _queue(job, may_wait=waits_for_data)


def _queue(job: TrainingJob, *, may_wait: bool) -> TrainingJob:
    """Write the row of a new job and announce it after the commit, unless it has to wait for its data.

    Raises what `make_room` raises, and `InvalidRequest` for a data set that cannot be trained on.
    """
    with transaction.atomic():
        make_room(job.owner)
        job.project = _project_of(job)
        if _is_ready(job.dataset, may_wait=may_wait):
            transaction.on_commit(lambda: announce(job))
        else:
            job.message = "Its data is being checked first."
        job.save()
    job.refresh_from_db(fields=["announced_at"])
    logger.info("job.queued", job=job.pk, task_type=job.task_type)
    return job


def _project_of(job: TrainingJob) -> Project:
    """Return the job's project, whose row stays locked, or a new one. Raises `InvalidRequest`."""
    if job.project_id is None:
        return create_project(owner=job.owner, task_type=job.task_type, name=job.name)
    project = Project.objects.current().select_for_update().filter(pk=job.project_id).first()
    if project is None:
        raise InvalidRequest("The project was deleted. Train without naming it: that makes a new one.")
    if project.task_type != job.task_type:
        raise InvalidRequest(
            f"{project.name} classifies {TaskType(project.task_type).label.lower()}, and the data set has "
            f"{TaskType(job.task_type).label.lower()}. Choose another project, or none for a new one."
        )
    return project


def make_room(owner: User | None) -> None:
    """Raise `PlatformBusy` when the queue is full; a lock lets one submission at a time be counted."""
    PlatformStatus.load()
    status = PlatformStatus.objects.select_for_update().get()
    if status.dev_mode:
        raise MaintenanceMode
    unfinished = TrainingJob.objects.unfinished()
    if not status.queue_while_active and unfinished.exists():
        raise PlatformBusy
    most = settings.TRAINYARD["MAX_UNFINISHED_JOBS"]
    if unfinished.count() >= most:
        raise TooManyJobs(
            f"All {most:,} places in the queue are taken. Submit again when some jobs have ended."
        )
    most = settings.TRAINYARD["MAX_UNFINISHED_JOBS_PER_USER"]
    if owner is not None and unfinished.filter(owner=owner).count() >= most:
        raise TooManyJobs(
            f"You have {most:,} jobs that have not ended, which is the most at a time. "
            "Wait until one has ended, or cancel one."
        )


def _is_ready(dataset: Dataset, *, may_wait: bool) -> bool:
    """Tell whether a data set is ready; its row stays locked until the transaction ends.

    Raises `InvalidRequest` for one that cannot be trained on, or not yet unless the job `may_wait`.
    """
    now = Dataset.objects.select_for_update().defer("report").filter(pk=dataset.pk).first()
    if now is None:
        raise InvalidRequest(f"{dataset.name} was deleted. Upload it again.")
    if may_wait and now.state == Dataset.State.VALIDATING:
        return False
    require_ready(now)
    return True


def _check(job: TrainingJob) -> None:
    """Raise `InvalidRequest` for fields that are out of range, and for settings that contradict each other."""
    check_fields(job, exclude=["owner", "dataset", "project", "revision", "registered_model"])
    try:
        parse_data_split(job.data_split)
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    if problem := contradiction(vars(job.hyperparameters)):
        raise InvalidRequest(problem)


def _architecture(task_type: str, choice: JobSettings, language: str) -> str:
    """Return the network to train, which can be trained that way here. Raises `InvalidRequest`."""
    try:
        if choice.architecture:
            architecture = find_network(choice.architecture)
        else:
            architecture = suitable_network(task_type, choice.strategy, language)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    name = architecture.name
    if not is_allowed(name):
        raise InvalidRequest(
            f"{name} has to be fetched or allowed by an administrator first (the admin's page Networks, or "
            "FURTHER_NETWORKS)."
        )
    if architecture.task_type != task_type:
        raise InvalidRequest(f"{architecture.label} does not classify {TaskType(task_type).label.lower()}.")
    if reason := architecture.unavailable_because(choice.strategy):
        raise InvalidRequest(reason)
    return name


def retry_job(*, job: TrainingJob, owner: User | None) -> TrainingJob:
    """Submit a job that failed or was cancelled once more, as a new job with the same data and settings.

    Raises what `submit_job` raises.
    """
    if job.state not in (TrainingJob.State.FAILED, TrainingJob.State.CANCELLED):
        raise InvalidRequest(
            f"{job.name} is {job.get_state_display()}; only a job that failed is tried again."
        )
    return _submit_again(job, owner)


def repeat_job(*, job: TrainingJob, owner: User | None) -> TrainingJob:
    """Train once more what a job that succeeded has trained; its model stays. Raises what `submit_job` raises."""
    if job.state != TrainingJob.State.SUCCEEDED:
        raise InvalidRequest(
            f"{job.name} is {job.get_state_display()}; only a job that succeeded is trained again."
        )
    return _submit_again(job, owner)


def train_again(
    *, project: Project, author: User | None, origin: str = TrainingJob.Origin.FORM
) -> TrainingJob:
    """Train a project's examples as they are now, with the settings of its newest version.

    The edits since the newest revision become the next one. Raises what `submit_job` raises, and `BucketError`.
    """
    succeeded = TrainingJob.objects.filter(project=project, state=TrainingJob.State.SUCCEEDED)
    job = succeeded.select_related("dataset").order_by("-pk").first()
    if job is None:
        raise InvalidRequest(f"{project} has no version yet. Its first training has to succeed before.")
    require_operation()
    require_trainable(project)
    revision = next_revision(project=project, author=author)
    for dataset in shards_of(revision):
        require_ready(dataset)
    return submit_job(
        project=project,
        revision=revision,
        owner=project.owner,
        dataset=job.dataset,
        name=project.name,
        choice=JobSettings.of(job),
        origin=origin,
    )


def _submit_again(job: TrainingJob, owner: User | None) -> TrainingJob:
    """Submit a new job with the same data and settings, for the same project unless that was deleted."""
    return submit_job(
        project=job.project if job.project.deleted_at is None else None,
        revision=job.revision if job.project.deleted_at is None else None,
        owner=owner,
        dataset=job.dataset,
        name=job.name,
        choice=JobSettings.of(job),
        origin=TrainingJob.Origin.RETRY,
    )


def requeue_job(*, job: TrainingJob) -> None:
    """Take a running job from its worker, or announce a queued one again. Raises `InvalidRequest`."""
    require_operation()
    reason = "Put back into the queue by an administrator"
    if (
        not transitions.requeue(job, reason=reason)
        and not TrainingJob.objects.queued().filter(pk=job.pk).exists()
    ):
        raise InvalidRequest(
            f"{job.name} is {job.get_state_display()}; only a running or queued job can wait again."
        )
    job.refresh_from_db()
    announce(job)


def set_priority(*, job: TrainingJob, priority: int) -> None:
    """Let a job start before or after others; it changes nothing for one that has started."""
    TrainingJob.objects.filter(pk=job.pk).update(priority=priority, updated_at=timezone.now())


def cancel_job(*, job: TrainingJob) -> None:
    """End a job; a running one stops within seconds. Raises `InvalidRequest` when it has ended."""
    if not transitions.cancel(job):
        raise InvalidRequest(f"{job.name} has ended already.")
    job.refresh_from_db()
