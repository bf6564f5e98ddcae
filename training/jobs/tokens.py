"""Tokens that others have chosen for a job, as Flash does: each becomes a file's name and part of an address."""

import re

from models_registry.models import RegisteredModel

from .models import TrainingJob

SHAPE = re.compile(r"[A-Za-z0-9_-]{1,160}")


def why_not_token(token: str) -> str:
    """Return why a new job cannot have this token; "" if it can."""
    if not SHAPE.fullmatch(token):
        return "it has 1 to 160 letters, digits, underscores and hyphens."
    if TrainingJob.objects.filter(token=token).exists():
        return "there is a job with this token already. Choose another one."
    if RegisteredModel.objects.filter(token=token).exists():
        return "there is a model with this token already. Choose another one."
    return ""
