"""Pages that bring a project more examples: a form, a camera, and how far a worker is with what is large."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.quota import require_room
from accounts.requests import account_of
from control.selectors import require_operation
from core.exceptions import TrainyardError
from core.http import csp
from core.http.admission import admits, claimed_by_file, require_sign_in
from core.pages.error_messages import errors_as_messages
from models_registry.models import Project, TaskType
from models_registry.projects.selectors import own_project

from ..engine.data.manifest import CAMERA, UPLOAD
from ..examples.additions import Added, accept_uploads
from ..examples.models import Addition
from ..examples.revisions import newest_revision
from ..examples.selectors import count_examples

SHOWN = 5
SHOWN_FOR = timedelta(hours=1)  # after it has ended


def _before_addition(request: HttpRequest, public_id: UUID) -> HttpResponseBase | None:
    """Look at the head of a request that brings examples."""
    stranger = require_sign_in(request)
    if stranger is None:
        require_operation()
        require_room(own_project(request.user, public_id).owner, claimed_by_file(request))
    return stranger


@admits(_before_addition)
@login_required
@require_POST
def add_data(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Append the examples that are handed in, or let a worker do so."""
    project = own_project(request.user, public_id)
    by_camera = request.POST.get("source") == CAMERA
    with errors_as_messages(request, TrainyardError):
        found = accept_uploads(
            project=project,
            author=account_of(request.user),
            files=request.FILES.getlist("file"),
            texts=request.POST.get("texts", "").splitlines(),
            label=request.POST.get("label", "").strip(),
            source=CAMERA if by_camera else UPLOAD,
        )
        if isinstance(found, Added):
            messages.success(request, _words(found))
    return redirect("training:camera" if by_camera else "training:project-data", public_id=public_id)


@login_required
@never_cache
@require_GET
def additions(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer a page's question for news of what a worker adds; a page that is told of the end asks no more."""
    context = additions_context(own_project(request.user, public_id))
    return render(request, "training/data_additions.html", context)


@login_required
@never_cache
@require_GET
def camera(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take photos of a class with the camera of a phone or laptop: the one page that may use it."""
    project = own_project(request.user, public_id)
    if project.task_type != TaskType.IMAGE:
        raise Http404
    context = {
        "project": project,
        "labels": list(count_examples(project).classes),
        "revision": newest_revision(project),
    }
    response = render(request, "training/camera.html", context)
    response[csp.PERMISSIONS] = csp.CAMERA
    return response


def additions_context(project: Project) -> dict[str, object]:
    """Return the newest uploads that a worker adds, or has added just now, and whether one of them is under way."""
    rows = Addition.objects.filter(project=project).select_related("validation__dataset", "edit")
    rows = rows.defer("edit__changes", "validation__dataset__report")
    shown = [one for one in rows[:SHOWN] if _is_news(one)]
    return {
        "project": project,
        "additions": shown,
        "adding": any(not one.validation.is_final for one in shown),
    }


def _is_news(addition: Addition) -> bool:
    ended_at = addition.validation.finished_at
    return ended_at is None or timezone.now() - ended_at < SHOWN_FOR


def _words(found: Added) -> str:
    said = f"{found.added:,} added."
    if found.known:
        said += f" {found.known:,} are here already and were not doubled."
    if found.unreadable:
        name, reason = found.unreadable[0]
        said += f" {len(found.unreadable):,} cannot be read, such as {name} ({reason})."
    return said
