"""Where manifests lie in the bucket."""

import uuid

from documents.drift import KnownFiles
from models_registry.models import Project

from .models import Findings, Revision

PROJECTS = "projects/"


def folder_of(project: Project) -> str:
    """Return the folder of everything that is kept of a project, with a slash at its end."""
    return f"{PROJECTS}{project.public_id}/"


def revision_key(project: Project) -> str:
    """Return a key for a new manifest; a revision that is not written after all leaves nothing in the way."""
    return f"{folder_of(project)}revisions/{uuid.uuid4().hex}.parquet"


def findings_key(project: Project, job_id: int, attempt: int) -> str:
    """Return where an attempt's findings lie."""
    return f"{folder_of(project)}findings/{job_id}-{attempt}.parquet"


def known_files() -> KnownFiles:
    """Return the manifests and findings that the tables name."""
    found = dict(Revision.objects.values_list("key", "size"))
    return KnownFiles(found | dict(Findings.objects.values_list("key", "size")))
