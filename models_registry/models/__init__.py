"""The models of this app, where Django looks for them; each is written in its own module."""

from .project import ALIAS_NAME, LONGEST_RETENTION, PRODUCTION, Alias, AliasMove, Project, production_under
from .registered_model import UNCHECKED, Artifact, RegisteredModel, RegisteredModelQuerySet
from .task_type import TaskType

__all__ = [
    "ALIAS_NAME",
    "LONGEST_RETENTION",
    "PRODUCTION",
    "UNCHECKED",
    "Alias",
    "AliasMove",
    "Artifact",
    "Project",
    "RegisteredModel",
    "RegisteredModelQuerySet",
    "TaskType",
    "production_under",
]
