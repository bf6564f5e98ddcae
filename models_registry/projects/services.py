"""What can be done with a project. Each function is one transaction."""

from collections.abc import Mapping

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from core.exceptions import InvalidRequest
from core.models import check_fields

from ..models import Project, RegisteredModel
from ..tokens import new_token
from .events import project_deleted

logger = structlog.get_logger(__name__)


@transaction.atomic
def create_project(*, owner: User | None, task_type: str, name: str) -> Project:
    """Make a project without versions. Raises `InvalidRequest` for a name that cannot be kept."""
    project = Project(owner=owner, task_type=task_type, name=name, token=new_token(task_type, name))
    check_fields(project, exclude=["owner"])
    project.save()
    logger.info("project.created", project=project.pk, task_type=task_type)
    return project


@transaction.atomic
def change_project(*, project: Project, changes: Mapping[str, object]) -> None:
    """Give fields of a project other values. Raises `InvalidRequest` for one that was deleted, and for bad values."""
    row = Project.objects.current().select_for_update().filter(pk=project.pk).first()
    if row is None:
        raise InvalidRequest(f"{project.name} was deleted.")
    for name, value in changes.items():
        setattr(row, name, value)
    check_fields(row, exclude=[field.name for field in row._meta.fields if field.name not in changes])
    row.save()
    project.refresh_from_db()


@transaction.atomic
def delete_project(*, project: Project) -> None:
    """Retire a project with all its versions and cancel its trainings; the next clean-up deletes the versions' files.

    Its data goes when no version of it is left that could be restored.
    """
    row = Project.objects.current().select_for_update().filter(pk=project.pk).first()
    if row is None:
        raise InvalidRequest(f"{project.name} was deleted already.")
    row.deleted_at = timezone.now()
    row.save()
    for model in row.versions.live().select_for_update().order_by("pk"):
        model.state, model.retired_at = RegisteredModel.State.RETIRED, row.deleted_at
        model.save()
    project_deleted.send(sender=Project, project=row)
    project.refresh_from_db()
    logger.info("project.deleted", project=row.pk)


@transaction.atomic
def serve_again(*, project: Project) -> None:
    """Let a project's token answer again that was taken out of service."""
    if project.withdrawn_at is None:
        raise InvalidRequest(f"The token of {project.name} is in service.")
    change_project(project=project, changes={"withdrawn_at": None})
