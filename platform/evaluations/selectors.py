"""Questions about evaluations of a project."""

import uuid

from core.exceptions import NotFound
from core.queue.app import why_unheard
from models_registry.models import Project

from .models import Evaluation, LabelledFile


def find_evaluation(project: Project, identifier: str | uuid.UUID) -> Evaluation:
    """Return one of a project's evaluations. Raises `NotFound`."""
    found: Evaluation | None = (
        Evaluation.objects.of_project(project).defer(None).filter(identifier=identifier).first()
    )
    if found is None:
        raise NotFound("This project has no such evaluation. It may have been deleted.")
    return found


def find_file(project: Project, number: int | None) -> LabelledFile | None:
    """Return one of a project's labelled files by its id, None for none. Raises `NotFound`."""
    if number is None:
        return None
    file = LabelledFile.objects.filter(project=project, pk=number).first()
    if file is None:
        raise NotFound(f"This project has no labelled file {number}. It may have been deleted.")
    return file


def why_waiting(evaluation: Evaluation) -> str:
    """Return why no worker has heard of a queued evaluation; "" for one that was announced, or has started."""
    return why_unheard(evaluation.announced_at) if evaluation.state == Evaluation.State.QUEUED else ""
