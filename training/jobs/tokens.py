"""Tokens that others have chosen for a job, as Flash does: each becomes a file's name and part of an address."""

import re

from core.exceptions import InvalidRequest
from models_registry.models import Project, RegisteredModel

from .models import TrainingJob

SHAPE = re.compile(r"[A-Za-z0-9_-]{1,160}")


def require_free_token(token: str) -> None:
    """Raise `InvalidRequest` for a token that a new job cannot have."""
    if not SHAPE.fullmatch(token):
        raise InvalidRequest("token: it has 1 to 160 letters, digits, underscores and hyphens.")
    if TrainingJob.objects.filter(token=token).exists():
        raise InvalidRequest("token: there is a job with this token already. Choose another one.")
    if RegisteredModel.objects.filter(token=token).exists():
        raise InvalidRequest("token: there is a model with this token already. Choose another one.")
    if Project.objects.filter(token=token).exists():
        raise InvalidRequest("token: there is a project with this token already. Choose another one.")
