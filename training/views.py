"""Pages of new models and of jobs: parse, authorise, call one service, show."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from core.exceptions import BucketError, MaintenanceMode, TrainyardError
from core.requests import PageRequest

from .forms import PRESETS, NewModelForm
from .models import TrainingJob
from .phases import current_phase, steps_of
from .reports import summarise
from .selectors import a_worker_is_alive, position_in_queue
from .services import cancel_job
from .submissions import Submission, submit_upload

PAGE_SIZE = 25
REFUSED = 422
UNAVAILABLE = 503


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_model(request: PageRequest) -> HttpResponse:
    """Show the form; take what was filled in, and go to the job's page."""
    if request.method != "POST":
        return _show_form(request, NewModelForm(), status=200)
    form = NewModelForm(request.POST, request.FILES)
    if not form.is_valid():
        return _show_form(request, form, status=REFUSED)
    values = form.cleaned_data
    submission = Submission(
        name=values["name"],
        task_type=values["task_type"],
        file=values["file"],
        columns=form.columns,
        choice=form.job_settings,
    )
    try:
        job = submit_upload(owner=request.user, submission=submission)
    except TrainyardError as error:
        form.add_error(None, str(error))
        away = isinstance(error, MaintenanceMode | BucketError)
        return _show_form(request, form, status=UNAVAILABLE if away else REFUSED)
    address = reverse("training:job", args=[job.pk])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _show_form(request: PageRequest, form: NewModelForm, *, status: int) -> HttpResponse:
    template = "training/new_form.html" if request.htmx else "training/new.html"
    context = {"form": form, "presets": PRESETS, "max_bytes": settings.TRAINYARD["MAX_DATASET_BYTES"]}
    return render(request, template, context, status=status)


@login_required
@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    """Show a person's jobs, newest first; staff may ask for everybody's."""
    everyone = request.user.is_staff and request.GET.get("whose") == "everyone"
    jobs = TrainingJob.objects.select_related("registered_model", "dataset", "owner").defer(
        "log_tail", "dataset__report", "registered_model__metrics", "registered_model__accuracy_plot"
    )
    if not everyone:
        jobs = jobs.filter(owner_id=request.user.pk)
    page = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "training/jobs.html", {"page": page, "everyone": everyone})


@login_required
@never_cache
@require_GET
def job_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a job, live while it has not ended."""
    job = _job_of(request, pk)
    context = {**_job_context(job), "report": summarise(job.dataset.report, job.dataset.classes)}
    return render(request, "training/job.html", context)


@login_required
@never_cache
@require_GET
def job_fragment(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the page's question for news; a model that has just gone live is shown at once."""
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
    try:
        cancel_job(job=job)
    except TrainyardError as error:
        messages.error(request, str(error))
    else:
        if job.is_final:
            messages.success(request, f"{job.name} is cancelled.")
    return redirect("training:job", pk=pk)


def _job_of(request: HttpRequest, pk: int) -> TrainingJob:
    """Return a job that this person may see; anybody else's does not exist for them."""
    jobs = TrainingJob.objects.owned_by(request.user).select_related("dataset", "registered_model")
    job: TrainingJob = get_object_or_404(jobs, pk=pk)
    return job


def _job_context(job: TrainingJob) -> dict[str, Any]:
    progress = job.progress or {}
    waits = job.state == TrainingJob.State.QUEUED
    steps = steps_of(job.state, progress)
    at = current_phase(job.state, progress)
    return {
        "job": job,
        "steps": steps,
        "current": next((step for step in steps if step.name == at), None),
        "position": position_in_queue(job) if waits else None,
        "worker_alive": a_worker_is_alive(job.queue) if waits else True,
        "queued_again": progress.get("message", "") if waits else "",
        "max_attempts": settings.TRAINYARD["MAX_ATTEMPTS"],
    }
