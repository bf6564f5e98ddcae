"""What the pages below a project's Versions share."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from models_registry.models import Project
from models_registry.selectors import production_of


def render_tab(
    request: HttpRequest, project: Project, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    """Answer with a page of the tab Versions."""
    shared = {"project": project, "production": production_of(project), "tab": "versions"}
    return render(request, template, {**shared, **context}, status=status)
