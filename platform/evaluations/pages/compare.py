"""Two or more versions side by side: one click measures what is missing, and the page follows."""

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseClientRefresh

from accounts.requests import account_of
from core.exceptions import TrainyardError
from core.pages.error_messages import errors_as_messages
from models_registry.models import Project, TaskType
from models_registry.projects.selectors import own_project
from models_registry.selectors import production_of

from ..comparison import Comparison, Standing, compare, standing_of
from ..models import LabelledFile
from ..selectors import find_file, why_waiting
from ..services import compare_versions, require_several
from .figures import accuracy_of, macro_f1_of
from .projects import render_tab


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def compare_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show a comparison as far as it is; POST measures what is missing first."""
    project = own_project(request.user, public_id)
    if request.method == "POST":
        return _start(request, project)
    versions, file = _asked(request.GET, project)
    context: dict[str, object] = {
        "versions_of_project": _choices(project),
        "files": _files(project),
        "file": file,
    }
    try:
        require_several(versions)
        standing = standing_of(project, versions, file)
        found = compare(standing) if standing.is_ready else None
    except TrainyardError as error:
        context |= {"problem": str(error), "chosen": versions}
        return render_tab(request, project, "evaluations/compare.html", context)
    context |= {"chosen": standing.versions, **_context(standing)}
    if found is not None:
        context |= _shown(project, standing, found)
    return render_tab(request, project, "evaluations/compare.html", context)


@login_required
@never_cache
@require_GET
def compare_fragment(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Return the part of the page that is polled; the whole page once there is something to show."""
    project = own_project(request.user, public_id)
    versions, file = _asked(request.GET, project)
    standing = standing_of(project, versions, file)
    if not standing.is_under_way:
        return HttpResponseClientRefresh()
    return render(request, "evaluations/compare_progress.html", {"project": project, **_context(standing)})


def _start(request: HttpRequest, project: Project) -> HttpResponse:
    """Measure what is missing, and lead to the comparison."""
    versions, file = _asked(request.POST, project)
    with errors_as_messages(request, TrainyardError):
        author = account_of(request.user)
        compare_versions(project=project, versions=versions, author=author, file=file)
        return redirect(_address(project, versions, file))
    return redirect("inference:versions", public_id=project.public_id)


def _asked(given: QueryDict, project: Project) -> tuple[list[int], LabelledFile | None]:
    """Return the versions and the file that a query or a form names; what is no number is left away."""
    versions = [int(text) for text in given.getlist("v") if text.isdecimal() and len(text) < 7]
    number = given.get("file", "")
    return versions, find_file(project, int(number) if number.isdecimal() and len(number) < 19 else None)


def _address(project: Project, versions: list[int], file: LabelledFile | None) -> str:
    query = [("v", str(version)) for version in versions] + ([("file", str(file.pk))] if file else [])
    return f"{reverse('evaluations:compare', args=[project.public_id])}?{urlencode(query)}"


def _choices(project: Project) -> list[int]:
    """Return the numbers of the versions that answer, the latest first."""
    serving = project.versions.serving().order_by("-version")
    return list(serving.values_list("version", flat=True)[:200])


def _files(project: Project) -> list[LabelledFile]:
    return list(LabelledFile.objects.filter(project=project)[:50])


def _context(standing: Standing) -> dict[str, object]:
    evaluations = list(standing.evaluations.values())
    waiting = (why_waiting(one) or one.message for one in evaluations)
    return {
        "standing": standing,
        "evaluations": evaluations,
        "unheard": next(filter(None, waiting), ""),
        "query": _query(standing),
    }


def _query(standing: Standing) -> str:
    return _address(standing.project, list(standing.versions), standing.file).partition("?")[2]


def _shown(project: Project, standing: Standing, found: Comparison) -> dict[str, object]:
    """Return what the page shows of a comparison; percent."""
    production = production_of(project)
    serving = set(_choices(project))
    best = max(figures["right"] for figures in found.figures.values())
    columns = [
        {
            "version": version,
            "accuracy": accuracy_of(figures),
            "macro_f1": macro_f1_of(figures),
            "right": figures["right"],
            "is_best": figures["right"] == best,
            "is_production": production is not None and production.version == version,
            "is_promotable": version in serving,
        }
        for version, figures in found.figures.items()
    ]
    classes = [
        {
            "name": row.name,
            "support": row.support,
            "cells": [_cell(row.recall, row.precision, v) for v in found.versions],
        }
        for row in found.classes
    ]
    rows = [{"example": row.example, "answers": list(row.answers.items())} for row in found.differing]
    return {
        "found": found,
        "columns": columns,
        "classes": classes,
        "rows": rows,
        "pictured_by": next(iter(standing.evaluations.values())),
        "is_image": project.task_type == TaskType.IMAGE,
        "why": " ".join(pair.words for pair in found.pairs)[:500],
    }


def _cell(recall: Mapping[int, float], precision: Mapping[int, float], version: int) -> dict[str, object]:
    return {
        "recall": 100 * recall[version],
        "precision": 100 * precision[version],
        "is_best": recall[version] == max(recall.values()) and len(set(recall.values())) > 1,
    }
