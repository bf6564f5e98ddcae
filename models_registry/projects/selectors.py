"""Questions about projects."""

import uuid

from core.exceptions import NotFound

from ..models import Project


def find_project(named: str) -> Project:
    """Return the project with this identifier or token, for a shell. Raises `NotFound`."""
    try:
        found = Project.objects.current().filter(public_id=uuid.UUID(named)).first()
    except ValueError:
        found = Project.objects.current().filter(token=named).first()
    if found is None:
        raise NotFound(f"There is no project {named!r}. `manage.py project list` shows them.")
    return found
