"""Pages of batches: send one from the model's page, watch it, take the result.

As with models, who knows the address may see: a batch has a secret of its own, beside its model's token.
"""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from accounts.requests import account_of
from core.exceptions import InvalidRequest, MaintenanceMode, TrainyardError
from core.http.admission import admits
from core.http.errors import status_of
from core.pages.error_messages import errors_as_messages
from core.pages.lists import list_context
from core.pages.requests import PageRequest

from ..batches.downloads import send_result
from ..batches.models import Batch
from ..batches.results import COLUMNS
from ..batches.selectors import find_batch, why_waiting
from ..batches.services import cancel_batch, create_batch
from ..predict.admission import before_batch
from ..predict.lookup import UnknownModel

PAGE_SIZE = 24


class BatchForm(forms.Form):
    """A file of inputs."""

    file = forms.FileField(error_messages={"required": "Choose a file.", "empty": "This file is empty."})
    column = forms.CharField(required=False, max_length=200)


@admits(before_batch)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def send(request: PageRequest, token: str) -> HttpResponse:
    """Create a batch from an uploaded file and redirect to it; an error is shown above the form."""
    if request.method != "POST":
        return redirect("inference:model", token=token)
    form = BatchForm(request.POST, request.FILES)
    try:
        batch = _send(request, token, form)
    except UnknownModel:
        raise
    except TrainyardError as error:
        if not request.htmx and isinstance(error, MaintenanceMode):
            raise
        return _refuse(request, token, error)
    address = reverse("inference:batch", args=[token, batch.identifier])
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


@never_cache
@require_GET
def batch_page(request: HttpRequest, token: str, identifier: str) -> HttpResponse:
    """Show a batch, live while it has not ended."""
    return render(request, "inference/batch.html", _context(find_batch(token, identifier)))


@never_cache
@require_GET
def batch_fragment(request: HttpRequest, token: str, identifier: str) -> HttpResponse:
    """Return the part of the page that is polled."""
    context = {**_context(find_batch(token, identifier)), "out_of_band": True}
    return render(request, "inference/batch_fragment.html", context)


@require_POST
def cancel(request: HttpRequest, token: str, identifier: str) -> HttpResponse:
    """End a batch."""
    batch = find_batch(token, identifier)
    with errors_as_messages(request):
        cancel_batch(batch=batch)
    return redirect("inference:batch", token=token, identifier=identifier)


@never_cache
@require_GET
def result(request: HttpRequest, token: str, identifier: str) -> FileResponse:
    """Return the result as a download."""
    return send_result(find_batch(token, identifier))


@login_required
@require_GET
def batch_list(request: HttpRequest) -> HttpResponse:
    """List the user's batches, newest first; for operators on request those of all users."""
    batches = Batch.objects.select_related("model", "owner").defer(
        "parts", "model__metrics", "model__accuracy_plot", "model__classes"
    )
    return render(
        request, "inference/batches.html", list_context(request, batches, noun="batches", page_size=PAGE_SIZE)
    )


def _send(request: HttpRequest, token: str, form: BatchForm) -> Batch:
    if not form.is_valid():
        raise InvalidRequest(" ".join(str(error) for errors in form.errors.values() for error in errors))
    return create_batch(
        token=token,
        file=form.cleaned_data["file"],
        owner=account_of(request.user),
        column=form.cleaned_data["column"],
    )


def _refuse(request: PageRequest, token: str, error: TrainyardError) -> HttpResponse:
    if request.htmx:
        return render(request, "inference/problem.html", {"problem": str(error)}, status=status_of(error))
    messages.error(request, str(error))
    return redirect("inference:model", token=token)


def _context(batch: Batch) -> dict[str, object]:
    waits = batch.state == Batch.State.QUEUED
    ahead = Batch.objects.queued().filter(queued_at__lt=batch.queued_at).count() if waits else 0
    return {
        "batch": batch,
        "model": batch.model,
        "ahead": ahead,
        "unheard": why_waiting(batch),
        "columns": COLUMNS[batch.model.task_type],
    }
