"""Where evaluations lie in the bucket, and what they take there."""

import uuid

from django.db.models import Count, Sum

from accounts.quota import Kept
from documents.drift import KnownFiles
from models_registry.models import Project
from training.examples.files import PROJECTS

from .models import Evaluation, LabelledFile


def folder_of(project: Project) -> str:
    """Return the folder of a project's evaluations, with a slash at its end."""
    return f"{PROJECTS}{project.public_id}/evaluations/"


def file_key(project: Project, suffix: str) -> str:
    """Return a key for a new labelled file."""
    return f"{folder_of(project)}files/{uuid.uuid4().hex}{suffix}"


def answers_key(evaluation: Evaluation) -> str:
    """Return where the answers of the present attempt lie: one that lost its lease disturbs no other."""
    return f"{folder_of(evaluation.project)}{evaluation.identifier}/{evaluation.attempt}.parquet"


def known_files() -> KnownFiles:
    """Return the files that the tables name; those of an evaluation under way may be there or not."""
    found = dict(LabelledFile.objects.values_list("key", "size"))
    found |= dict(Evaluation.objects.exclude(result_key="").values_list("result_key", "result_size"))
    working = (
        Evaluation.objects.unfinished().select_related("project").only("identifier", "project__public_id")
    )
    return KnownFiles(found, tuple(f"{folder_of(one.project)}{one.identifier}/" for one in working))


def kept_evaluations(owner_id: int | None) -> Kept:
    """Return what the labelled files and the answers of an account's projects take."""
    files = LabelledFile.objects.filter(project__owner_id=owner_id)
    rows = Evaluation.objects.filter(project__owner_id=owner_id)
    of_files = files.aggregate(count=Count("pk"), bytes=Sum("size", default=0))
    of_rows = rows.aggregate(count=Count("pk"), bytes=Sum("result_size", default=0))
    return Kept(
        "Evaluations",
        of_files["count"] + of_rows["count"],
        of_files["bytes"] + of_rows["bytes"],
        "inference:projects",
        "Delete those you do not need on the Versions page of their project.",
    )
