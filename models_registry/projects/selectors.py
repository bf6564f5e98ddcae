"""Questions about projects."""

import uuid

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import Http404

from accounts.models import User
from core.exceptions import NotFound

from ..models import Project, RegisteredModel


def find_project(named: str) -> Project:
    """Return the project with this identifier or token, for a shell. Raises `NotFound`."""
    try:
        found = Project.objects.current().filter(public_id=uuid.UUID(named)).first()
    except ValueError:
        found = Project.objects.current().filter(token=named).first()
    if found is None:
        raise NotFound(f"There is no project {named!r}. `manage.py project list` shows them.")
    return found


def own_project(user: User | AnonymousUser, public_id: uuid.UUID) -> Project:
    """Return a project that this person manages. Raises `Http404`: anybody else's does not exist for them."""
    project: Project | None = Project.objects.current().owned_by(user).filter(public_id=public_id).first()
    if project is None:
        raise Http404
    return project


def with_lineage(versions: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Load with versions where they come from: training, revision and the one before, and what a policy decided."""
    heavy = ("training_job__log_tail", "training_job__progress", "findings__revision__counts")
    related = ("training_job", "findings__revision__parent", "policy_decision")
    return versions.select_related(*related).defer("metrics", "accuracy_plot", *heavy)
