"""Where manifests lie in the bucket."""

import uuid

from documents.drift import KnownFiles
from models_registry.models import Project

from .models import Findings, Revision

PROJECTS = "projects/"
LISTED, LOOKED_AT = "", "-findings"  # kinds of files about the examples of a training


def folder_of(project: Project) -> str:
    """Return the folder of everything that is kept of a project, with a slash at its end."""
    return f"{PROJECTS}{project.public_id}/"


def revision_key(project: Project) -> str:
    """Return a key for a new manifest; a revision that is not written after all leaves nothing in the way."""
    return f"{folder_of(project)}revisions/{uuid.uuid4().hex}.parquet"


def findings_key(project: Project, job_id: int, attempt: int, kind: str) -> str:
    """Return where an attempt's list of examples lies, or what was found in them."""
    return f"{findings_folder(project)}{job_id}-{attempt}{kind}.parquet"


def findings_folder(project: Project) -> str:
    """Return the folder of a project's findings, with a slash at its end."""
    return f"{folder_of(project)}findings/"


def known_files() -> KnownFiles:
    """Return the manifests and findings that the tables name; more findings may be there for a while."""
    found = dict(Revision.objects.values_list("key", "size"))
    findings = Findings.objects.select_related("project")
    folders = {findings_folder(one.project) for one in findings.only("project__public_id")}
    return KnownFiles(found | dict(Findings.objects.values_list("key", "size")), tuple(sorted(folders)))
