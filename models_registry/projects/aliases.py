"""Names for versions beside production: a candidate, last year's, whatever a team wants to name."""

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from core.exceptions import Conflict, InvalidRequest

from ..models import ALIAS_NAME, PRODUCTION, Alias, AliasMove, Project, RegisteredModel
from .versions import locked, move_alias

MOST = 50  # of a project


@transaction.atomic
def set_alias(
    *,
    project: Project,
    name: str,
    version: int,
    by: User | None = None,
    expected: int | None = None,
    why: str = "",
) -> RegisteredModel:
    """Let a name stand for a version; nothing happens when it does already.

    `expected` is the version that the caller believes it to stand for now, 0 for none: `Conflict` when it is another.
    Raises `InvalidRequest` for production, which is promoted, a name that cannot be one, and a version that is gone.
    """
    _check_name(name)
    project = locked(project)
    model = project.versions.select_for_update().filter(version=version).first()
    if model is None or model.state in (RegisteredModel.State.DELETING, RegisteredModel.State.DELETED):
        raise InvalidRequest(f"{project.name} has no version {version}.")
    before = _named(project, name)
    if expected is not None and (before.version if before else 0) != expected:
        now = f"version {before.version}" if before else "no version"
        raise Conflict(f"Somebody else has changed it meanwhile: {name} is {now}. Look again.")
    if before is None and Alias.objects.filter(project=project).count() >= MOST:
        raise InvalidRequest(
            f"A project has {MOST} names for versions at the most. Remove one that is not needed."
        )
    if before != model:
        move_alias(project, name, model, kind=AliasMove.Kind.NAMED, by=by, why=why)
    return model


@transaction.atomic
def remove_alias(*, project: Project, name: str, by: User | None = None, why: str = "") -> None:
    """Take a name off its version. Raises `InvalidRequest` for production, and for a name that there is not."""
    _check_name(name)
    project = locked(project)
    if _named(project, name) is None:
        raise InvalidRequest(f"No version of {project.name} is called {name}.")
    move_alias(project, name, None, kind=AliasMove.Kind.REMOVAL, by=by, why=why)


@transaction.atomic
def note_on_version(*, project: Project, version: int, notes: str) -> RegisteredModel:
    """Write down what is new in a version. Raises `InvalidRequest`."""
    project = locked(project)
    model = project.versions.select_for_update().filter(version=version).first()
    if model is None or model.state == RegisteredModel.State.DELETED:
        raise InvalidRequest(f"{project.name} has no version {version}.")
    most = RegisteredModel._meta.get_field("notes").max_length or 0
    if len(notes) > most or "\0" in notes:
        raise InvalidRequest(f"A note has {most:,} characters at the most, and no NUL.")
    RegisteredModel.objects.filter(pk=model.pk).update(notes=notes.strip())
    model.notes = notes.strip()
    return model


def _named(project: Project, name: str) -> RegisteredModel | None:
    return RegisteredModel.objects.filter(aliases__project=project, aliases__name=name).first()


def _check_name(name: str) -> None:
    """Raise `InvalidRequest` for what is no name of a person's own."""
    if name == PRODUCTION:
        raise InvalidRequest("Which version is in production is changed by promoting one, or rolling back.")
    try:
        ALIAS_NAME(name)
    except ValidationError as error:
        raise InvalidRequest(
            f"A version cannot be called {name[:40]!r}. {' '.join(error.messages)}"
        ) from error
