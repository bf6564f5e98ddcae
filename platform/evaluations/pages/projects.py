"""What the pages below a project's Versions share."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from models_registry.models import Project
from models_registry.selectors import production_of


def own_project(request: HttpRequest, public_id: UUID) -> Project:
    """Return a project that this person manages. Raises `Http404`."""
    project: Project = get_object_or_404(
        Project.objects.current().owned_by(request.user), public_id=public_id
    )
    return project


def render_tab(
    request: HttpRequest, project: Project, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    """Answer with a page of the tab Versions."""
    shared = {"project": project, "production": production_of(project), "tab": "versions"}
    return render(request, template, {**shared, **context}, status=status)
