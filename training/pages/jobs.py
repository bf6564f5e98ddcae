"""Pages of jobs: parse, authorise, call one service, show."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from control.selectors import is_halted
from core.exceptions import TrainyardError
from core.pages.error_messages import errors_as_messages
from core.pages.lists import list_context
from core.queue.app import why_unheard
from core.templatetags.durations import about

from ..engine.specs.hyperparameters import OPTIONS
from ..engine.specs.options import Group, Option
from ..engine.specs.strategies import find_strategy
from ..jobs.models import TrainingJob
from ..jobs.phases import current_phase, steps_of
from ..jobs.selectors import a_worker_is_alive, expected_start, position_in_queue, recent_estimates
from ..jobs.services import cancel_job, retry_job
from .curves import charts_of, facts_of
from .dataset_report import summarise
from .forms import JobSearch

PAGE_SIZE = 25


@login_required
@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    """List the user's jobs, newest first; for operators on request those of all users."""
    jobs = TrainingJob.objects.select_related("registered_model", "dataset", "owner").defer(
        "log_tail", "dataset__report", "registered_model__metrics", "registered_model__accuracy_plot"
    )
    context = list_context(request, jobs, noun="jobs", page_size=PAGE_SIZE, search=JobSearch)
    return render(request, "training/jobs.html", context)


@login_required
@never_cache
@require_GET
def job_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a job, live while it has not ended."""
    job = _job_of(request, pk)
    report = summarise(job.dataset.report, job.dataset.classes)
    context = {
        **_job_context(job),
        "usual": _usual(job),
        "report": report,
        "dataset": job.dataset,
        "further": _further_settings(job),
    }
    return render(request, "training/job.html", context)


@login_required
@never_cache
@require_GET
def job_fragment(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the part of the page that is polled; redirect to the model once it is live."""
    job = _job_of(request, pk)
    if job.registered_model is not None:
        messages.success(request, f"{job.name} is live.")
        return HttpResponseClientRedirect(reverse("inference:model", args=[job.registered_model.token]))
    return render(request, "training/job_fragment.html", {**_job_context(job), "out_of_band": True})


@login_required
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """End a job."""
    job = _job_of(request, pk)
    with errors_as_messages(request, TrainyardError):
        cancel_job(job=job)
        if job.is_final:
            messages.success(request, f"{job.name} is cancelled.")
    return redirect("training:job", pk=pk)


@login_required
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a job that failed once more, as a new one."""
    job = _job_of(request, pk)
    with errors_as_messages(request, TrainyardError):
        pk = retry_job(job=job, owner=job.owner).pk
    return redirect("training:job", pk=pk)


def _job_of(request: HttpRequest, pk: int) -> TrainingJob:
    """Return a job that this person may see; anybody else's does not exist for them."""
    jobs = TrainingJob.objects.owned_by(request.user).select_related("dataset", "registered_model", "project")
    job: TrainingJob = get_object_or_404(jobs, pk=pk)
    return job


def _job_context(job: TrainingJob) -> dict[str, object]:
    progress = job.how_far
    waits = job.state == TrainingJob.State.QUEUED
    steps = steps_of(job.state, progress, job.strategy)
    metrics = progress.measured
    at = current_phase(job.state, progress)
    return {
        "job": job,
        "steps": steps,
        "trains_network": find_strategy(job.strategy).trains_network,
        "current": next((step for step in steps if step.name == at), None),
        "facts": facts_of(metrics) if job.state == TrainingJob.State.RUNNING else [],
        "charts": charts_of(metrics),
        "leaderboard": metrics.leaderboard,
        "seconds_left": metrics.seconds_left if at == "train" else None,
        "position": position_in_queue(job) if waits else None,
        "expected_start": expected_start(job) if waits else None,
        "halted": waits and is_halted(),
        "unheard": why_unheard(job.announced_at) if waits else "",
        "worker_alive": a_worker_is_alive(job.queue) if waits else True,
        "queued_again": progress.message if waits else "",
        "max_attempts": settings.TRAINYARD["MAX_ATTEMPTS"],
    }


def _usual(job: TrainingJob) -> str:
    """Return how long jobs like one that has not ended take; "" when that is not known."""
    if job.is_final:
        return ""
    seconds = recent_estimates().seconds(
        job.task_type, job.strategy, job.dataset.examples, budget_minutes=job.budget_minutes
    )
    return "" if seconds is None else about(seconds)


def _further_settings(job: TrainingJob) -> list[tuple[str, str]]:
    """Return what was set beside the usual, each setting by its label and its value in words."""
    given = {"reduce_lr_on_plateau": job.reduce_lr_on_plateau, "step_lr": job.step_lr, **job.advanced}
    return [
        (OPTIONS[name].label, _words(OPTIONS[name], value))
        for name, value in given.items()
        if value not in (None, {})
    ]


def _words(option: Option, value: Any) -> str:
    """Return a value in words; a group's in the form's order: a database may keep them in another."""
    if isinstance(option, Group):
        return ", ".join(
            f"{name.replace('_', ' ')} {value[name]:g}" for name in option.options if name in value
        )
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
