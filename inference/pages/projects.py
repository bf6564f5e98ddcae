"""Pages of projects: the list, and of each its versions, how to use it, its settings.

A project is its owner's and the operators' alone; to others there is nothing, as there is to those who guess. The right
to predict is the project's token, whose page is the model's (`models.py`).
"""

import uuid
from copy import copy
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import F, Max, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.requests import account_of
from core.exceptions import InvalidRequest
from core.pages.error_messages import errors_as_messages
from core.pages.lists import list_context
from core.pages.search import ListSearch, choice
from models_registry.artifacts.model_metrics import interval_of
from models_registry.models import (
    LONGEST_RETENTION,
    PRODUCTION,
    Alias,
    AliasMove,
    Project,
    RegisteredModel,
    TaskType,
)
from models_registry.projects.aliases import note_on_version, remove_alias, set_alias
from models_registry.projects.selectors import own_project, with_lineage
from models_registry.projects.services import change_project, delete_project, serve_again
from models_registry.projects.versions import previous_version, promote_version, roll_back
from models_registry.selectors import production_of

from ..downloads import download_name
from .models import own_snippets

PAGE_SIZE = 24
VERSIONS_SHOWN = 50
MOVES_SHOWN = 20
LONGEST_NUMBER = 9  # digits of a version in an address


class ProjectSearch(ListSearch):
    """What projects can be searched for."""

    task_type = choice("Kind", TaskType.choices, everything="Images and texts")


class SettingsForm(forms.ModelForm):
    """Name, description, who promotes, and how long other versions are kept.

    The page sends along what it has shown, so that what somebody else has changed meanwhile in other fields stays.
    """

    retention_days = forms.IntegerField(
        label="Days to keep versions that are not in production",
        required=False,
        min_value=1,
        max_value=LONGEST_RETENTION,
        help_text="After their last use. Empty: as long as the platform keeps them, and never longer than that. It "
        "counts from the next use of each version on.",
    )

    class Meta:
        model = Project
        fields = ("name", "description", "policy")
        widgets = {"description": forms.Textarea(attrs={"rows": 5})}
        help_texts: ClassVar[dict[str, str]] = {
            "policy": "By itself: each new version is compared with the one in production on examples that neither has "
            "learnt from, and promoted when it is right more often and McNemar's test says p < 0.05."
        }

    def __init__(self, *arguments: Any, **given: Any) -> None:
        super().__init__(*arguments, **given)
        for name, field in self.fields.items():  # a program that sends values alone means these
            field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def shown_before(self) -> list[SafeString]:
        """Return hidden fields with the values that the page shows."""
        return [field.as_hidden(only_initial=True) for field in self]

    @property
    def changes(self) -> dict[str, object]:
        """Return the values of the fields that were changed on the page."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class MoveForm(forms.Form):
    """A version to promote, and the one that the page has shown as being in production."""

    version = forms.IntegerField(min_value=1, required=False)
    expected = forms.IntegerField(min_value=0, required=False)
    why = forms.CharField(max_length=500, required=False)


class NameForm(forms.Form):
    """A name and the version that it is to stand for, none to take it off; or a note on a version."""

    version = forms.IntegerField(min_value=1, required=False)
    name = forms.CharField(max_length=40, required=False)
    notes = forms.CharField(max_length=4000, required=False)


def served_aliases() -> Prefetch:
    """Return what a list needs of each project's production version, as `served`."""
    aliases = Alias.objects.filter(name=PRODUCTION).select_related("model")
    columns = (
        *("token", "version", "accuracy", "state", "pinned", "expires_at"),
        *("last_used_at", "name", "classes"),
    )
    return Prefetch(
        "aliases", aliases.only("project", "name", *(f"model__{name}" for name in columns)), "served"
    )


@login_required
@require_GET
def project_list(request: HttpRequest) -> HttpResponse:
    """List the user's projects, newest first; for operators on request those of all users."""
    projects = Project.objects.current().select_related("owner").prefetch_related(served_aliases())
    context = list_context(request, projects, noun="projects", page_size=PAGE_SIZE, search=ProjectSearch)
    return render(request, "inference/projects.html", context)


@login_required
@never_cache
@require_GET
def overview(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show what answers the token, what is being trained, and where to go on."""
    project = own_project(request.user, public_id)
    jobs = project.training_jobs.select_related("dataset", "registered_model").defer(
        "log_tail", "dataset__report"
    )
    latest = list(jobs.order_by("-created_at")[:5])
    context: dict[str, object] = {
        "jobs": latest,
        "count": _shown(project).count(),
        "last_used_at": _shown(project).aggregate(last=Max("last_used_at"))["last"],
    }
    return _page(request, project, "overview", context)


@login_required
@never_cache
@require_GET
def versions(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show the versions, the latest first and a page at a time, and how production moved."""
    project = own_project(request.user, public_id)
    shown = with_lineage(_shown(project)).prefetch_related("aliases")
    shown = shown.annotate(low=F("metrics__accuracy_low"), high=F("metrics__accuracy_high"))
    moves = project.alias_moves.select_related("from_model", "to_model", "by").only(
        *("project", "name", "kind", "why", "created_at", "by__username"),
        *("from_model__version", "to_model__version"),
    )
    below = request.GET.get("below", "")
    if below.isdecimal() and len(below) < LONGEST_NUMBER:
        shown = shown.filter(version__lt=int(below))
    found = list(shown.order_by("-version")[: VERSIONS_SHOWN + 1])
    intervals = [interval_of({"accuracy_low": one.low, "accuracy_high": one.high}) for one in found]
    context: dict[str, object] = {
        "versions": found[:VERSIONS_SHOWN],
        "rows": list(zip(found, intervals, strict=True))[:VERSIONS_SHOWN],
        "older": found[VERSIONS_SHOWN - 1].version if len(found) > VERSIONS_SHOWN else None,
        "moves": moves[:MOVES_SHOWN],
        "previous": previous_version(project),
        "names": project.aliases.exclude(name=PRODUCTION).values_list("name", flat=True),
    }
    return _page(request, project, "versions", context)


@login_required
@never_cache
@require_GET
def use(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show the token, and programs that use it."""
    project = own_project(request.user, public_id)
    model = production_of(project)
    context: dict[str, object] = {
        "page_address": request.build_absolute_uri(_address(project)),
        "max_inputs": settings.TRAINYARD["MAX_PREDICT_INPUTS"],
    }
    if model is not None:
        files = list(model.artifacts.all())
        context["snippets"] = own_snippets(request, model.under(project.token), files)
        context["files"] = [(file, download_name(model, file)) for file in files]
    return _page(request, project, "use", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def project_settings(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Change a project's name and description, and who promotes its versions."""
    project = own_project(request.user, public_id)
    days = {"retention_days": project.retention_days}
    form = SettingsForm(request.POST or None, instance=copy(project), initial=days)
    if request.method == "POST" and form.is_valid():
        with errors_as_messages(request):
            change_project(project=project, changes=form.changes)
            messages.success(request, "The settings are saved.")
        return redirect("inference:project-settings", public_id=public_id)
    return _page(
        request, project, "settings", {"form": form}, status=400 if request.method == "POST" else 200
    )


@login_required
@require_POST
def promote(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Put a version into production."""
    project, form = own_project(request.user, public_id), MoveForm(request.POST)
    with errors_as_messages(request):
        if not form.is_valid() or not form.cleaned_data["version"]:
            raise InvalidRequest("Choose a version.")
        model = promote_version(project=project, by=account_of(request.user), **form.cleaned_data)
        messages.success(request, f"Version {model.version} is in production.")
    return redirect("inference:versions", public_id=public_id)


@login_required
@require_POST
def go_back(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Put the version before into production again."""
    project, form = own_project(request.user, public_id), MoveForm(request.POST)
    with errors_as_messages(request):
        expected = form.cleaned_data["expected"] if form.is_valid() else None
        model = roll_back(project=project, by=account_of(request.user), expected=expected)
        messages.success(request, f"Version {model.version} is in production again.")
    return redirect("inference:versions", public_id=public_id)


@login_required
@require_POST
def name_version(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Let a name stand for a version, or take it off; or note what is new in a version."""
    project, form = own_project(request.user, public_id), NameForm(request.POST)
    with errors_as_messages(request):
        if not form.is_valid():
            raise InvalidRequest("Choose a version and a name of 1 to 40 small letters, digits and hyphens.")
        wish, by = form.cleaned_data, account_of(request.user)
        if "notes" in request.POST:
            note_on_version(project=project, version=wish["version"] or 0, notes=wish["notes"])
            messages.success(request, f"The note on version {wish['version']} is saved.")
        elif wish["version"]:
            set_alias(project=project, name=wish["name"], version=wish["version"], by=by)
            messages.success(request, f"Version {wish['version']} is called {wish['name']}.")
        else:
            remove_alias(project=project, name=wish["name"], by=by)
            messages.success(request, f"No version is called {wish['name']} any more.")
    return redirect("inference:versions", public_id=public_id)


@login_required
@require_POST
def give_back(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Let the token answer again."""
    project = own_project(request.user, public_id)
    with errors_as_messages(request):
        serve_again(project=project)
        messages.success(request, "The token is in service again.")
    return redirect("inference:project", public_id=public_id)


@login_required
@require_POST
def delete(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Delete a project."""
    project = own_project(request.user, public_id)
    with errors_as_messages(request):
        delete_project(project=project)
        messages.success(request, f"{project.name} is deleted.")
    return redirect("inference:projects")


def _shown(project: Project) -> QuerySet[RegisteredModel]:
    gone = (RegisteredModel.State.DELETED, RegisteredModel.State.DELETING)
    return RegisteredModel.objects.filter(project=project).exclude(state__in=gone)


def _address(project: Project) -> str:
    return reverse("inference:model", args=[project.token])


def _page(
    request: HttpRequest, project: Project, tab: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    production = production_of(project)
    answers = production is not None and production.is_serving and project.withdrawn_at is None
    context |= {"project": project, "production": production, "answers": answers, "tab": tab}
    context["kinds"] = dict(AliasMove.Kind.choices)
    return render(request, f"inference/project_{tab}.html", context, status=status)
