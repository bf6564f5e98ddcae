"""What can be done with a project. Each function is one transaction."""

import structlog
from django.db import transaction

from accounts.models import User
from core.models import check_fields

from ..models import Project
from ..tokens import new_token

logger = structlog.get_logger(__name__)


@transaction.atomic
def create_project(*, owner: User | None, task_type: str, name: str) -> Project:
    """Make a project without versions. Raises `InvalidRequest` for a name that cannot be kept."""
    project = Project(owner=owner, task_type=task_type, name=name, token=new_token(task_type, name))
    check_fields(project, exclude=["owner"])
    project.save()
    logger.info("project.created", project=project.pk, task_type=task_type)
    return project
