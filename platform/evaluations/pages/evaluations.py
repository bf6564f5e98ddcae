"""Pages of evaluations: measure a version, on a labelled file or the project's own examples; the figures; the list."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.quota import require_room
from accounts.requests import account_of
from core.exceptions import InvalidRequest, TrainyardError
from core.http.admission import admits, claimed_by_file, require_sign_in
from core.pages.error_messages import errors_as_messages
from models_registry.models import Project, TaskType
from models_registry.projects.selectors import own_project
from training.pages.project_data import KEEP_PHOTOS, THUMBNAIL

from ..comparison import answers_of
from ..downloads import send_answers, small_photo_of
from ..held_out import basis_of
from ..models import MEASURED_ON, Evaluation, LabelledFile
from ..selectors import find_evaluation, find_file, why_waiting
from ..services import cancel_evaluation, delete_evaluation, evaluate_on_upload, evaluate_version
from .figures import accuracy_of, macro_f1_of
from .projects import render_tab

SHOWN = 100
MISTAKES_SHOWN = 24


class EvaluationForm(forms.Form):
    """Which version to measure, and on what."""

    version = forms.IntegerField(min_value=1)
    file = forms.FileField(required=False, error_messages={"empty": "This file is empty."})
    file_id = forms.IntegerField(min_value=1, required=False)


def _before_file(request: HttpRequest, public_id: UUID) -> HttpResponseBase | None:
    """Look at the head of a request that brings a file."""
    stranger = require_sign_in(request)
    if stranger is None:
        require_room(own_project(request.user, public_id).owner, claimed_by_file(request))
    return stranger


@admits(_before_file)
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def evaluation_list(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show a project's evaluations, and the form for another one; POST begins it."""
    project = own_project(request.user, public_id)
    if request.method == "POST":
        with errors_as_messages(request, TrainyardError):
            found = _begin(request, project)
            return redirect("evaluations:evaluation", public_id=public_id, identifier=found.identifier)
        return redirect("evaluations:evaluations", public_id=public_id)
    rows = Evaluation.objects.of_project(project).defer(None).defer("model__metrics", "model__accuracy_plot")
    context: dict[str, object] = {
        "evaluations": [(one, accuracy_of(one.figures) if one.figures else None) for one in rows[:SHOWN]],
        "files": LabelledFile.objects.filter(project=project)[:SHOWN],
        "serving": project.versions.serving().order_by("-version").values_list("version", flat=True)[:SHOWN],
        "chosen": request.GET.get("version", ""),
        "measured_on": MEASURED_ON[basis_of(project)],
        "is_image": project.task_type == TaskType.IMAGE,
    }
    return render_tab(request, project, "evaluations/evaluations.html", context)


@login_required
@never_cache
@require_GET
def evaluation_page(request: HttpRequest, public_id: UUID, identifier: UUID) -> HttpResponse:
    """Show an evaluation, live while it has not ended."""
    project = own_project(request.user, public_id)
    return render_tab(
        request,
        project,
        "evaluations/evaluation.html",
        _context(project, find_evaluation(project, identifier)),
    )


@login_required
@never_cache
@require_GET
def evaluation_fragment(request: HttpRequest, public_id: UUID, identifier: UUID) -> HttpResponse:
    """Return the part of the page that is polled."""
    project = own_project(request.user, public_id)
    context = _context(project, find_evaluation(project, identifier))
    return render(request, "evaluations/evaluation_fragment.html", context)


@login_required
@never_cache
@require_GET
def answers(request: HttpRequest, public_id: UUID, identifier: UUID) -> FileResponse:
    """Return the table of answers as a download."""
    return send_answers(find_evaluation(own_project(request.user, public_id), identifier))


@login_required
@cache_control(private=True, max_age=KEEP_PHOTOS, immutable=True)
@require_GET
def photo(request: HttpRequest, public_id: UUID, identifier: UUID, sha256: str) -> HttpResponse:
    """Return a photo of the file that was brought, small."""
    evaluation = find_evaluation(own_project(request.user, public_id), identifier)
    return HttpResponse(small_photo_of(evaluation, sha256, THUMBNAIL), content_type="image/jpeg")


@login_required
@require_POST
def cancel(request: HttpRequest, public_id: UUID, identifier: UUID) -> HttpResponse:
    """End an evaluation."""
    evaluation = find_evaluation(own_project(request.user, public_id), identifier)
    with errors_as_messages(request):
        cancel_evaluation(evaluation=evaluation)
    return redirect("evaluations:evaluation", public_id=public_id, identifier=identifier)


@login_required
@require_POST
def delete(request: HttpRequest, public_id: UUID, identifier: UUID) -> HttpResponse:
    """Delete an evaluation that has ended."""
    evaluation = find_evaluation(own_project(request.user, public_id), identifier)
    with errors_as_messages(request, TrainyardError):
        delete_evaluation(evaluation=evaluation)
        messages.success(request, "The evaluation is deleted.")
    return redirect("evaluations:evaluations", public_id=public_id)


def _begin(request: HttpRequest, project: Project) -> Evaluation:
    """Carry out the form. Raises `TrainyardError`."""
    form = EvaluationForm(request.POST, request.FILES)
    if not form.is_valid():
        raise InvalidRequest(" ".join(str(error) for errors in form.errors.values() for error in errors))
    author, wish = account_of(request.user), form.cleaned_data
    version, upload = wish["version"], wish["file"]
    if upload is not None:
        return evaluate_on_upload(project=project, version=version, author=author, file=upload)
    file = find_file(project, wish["file_id"])
    return evaluate_version(project=project, version=version, author=author, file=file)


def _context(project: Project, evaluation: Evaluation) -> dict[str, object]:
    context: dict[str, object] = {
        "project": project,
        "evaluation": evaluation,
        "pictured_by": evaluation,
        "figures": evaluation.figures,
        "unheard": why_waiting(evaluation),
        "is_image": project.task_type == TaskType.IMAGE,
    }
    if evaluation.state == Evaluation.State.SUCCEEDED:
        wrong = [one for one in answers_of(evaluation) if not one.is_right]
        wrong.sort(key=lambda one: -one.probability)
        context |= {"mistakes": wrong[:MISTAKES_SHOWN], "wrong": len(wrong)}
        context |= {"accuracy": accuracy_of(evaluation.figures), "macro_f1": macro_f1_of(evaluation.figures)}
        context["per_class"] = [
            {**row, **{name: 100 * row[name] for name in ("precision", "recall", "f1")}}
            for row in evaluation.figures["per_class"]
        ]
    return context
