"""Writes of evaluations: bring a file, measure a version, measure what a comparison needs, delete."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import structlog
from django.conf import settings
from django.core.files import File
from django.db import transaction
from django.template.defaultfilters import filesizeformat

from accounts.models import User
from accounts.quota import require_room, take_room
from bucket.factory import get_bucket
from core.exceptions import BucketError, InvalidRequest
from models_registry.inputs import DataError
from models_registry.models import Project, RegisteredModel
from training.datasets.files import hash_file
from training.datasets.services import arrived, as_zip
from training.engine.data.labelled import Labelled, read_labelled
from training.examples.edits import lock, newest_edit
from work import transitions
from work.models import UNFINISHED, State
from work.queue import announce

from .files import file_key, folder_of
from .held_out import basis_of, classes_now, require_measurable
from .models import Evaluation, LabelledFile

logger = structlog.get_logger(__name__)

MOST_UNFINISHED = 20  # of a project
MOST_KEPT = 1_000  # of a project
MOST_COMPARED = 6  # versions
NAMED = 5  # classes in a message


class TooManyEvaluations(InvalidRequest):
    """As many evaluations as a project may have are under way, or kept."""


def evaluate_version(
    *, project: Project, version: int, author: User | None, file: LabelledFile | None = None
) -> Evaluation:
    """Measure a version on a labelled file, or on the project's own examples. Raises `InvalidRequest`."""
    return evaluate_versions(project=project, versions=[version], author=author, file=file)[0]


def evaluate_on_upload(*, project: Project, version: int, author: User | None, file: File) -> Evaluation:
    """Measure a version on a file that somebody hands in, and that is kept if it can. Raises what `bring_file` does."""
    brought = bring_file(project=project, author=author, file=file)
    try:
        return evaluate_version(project=project, version=version, author=author, file=brought)
    except InvalidRequest:
        discard_file(brought)
        raise


def evaluate_versions(
    *,
    project: Project,
    versions: Sequence[int],
    author: User | None,
    file: LabelledFile | None = None,
    anew: bool = True,
) -> list[Evaluation]:
    """Measure versions on the same examples, in the order of `versions`; not `anew` uses what is there.

    Raises `InvalidRequest` for a version that there is not, or that cannot be measured.
    """
    basis = Evaluation.Basis.FILE if file else basis_of(project)
    models = [_measurable(project, version, basis, file) for version in dict.fromkeys(versions)]
    with transaction.atomic():
        lock(project)
        edit = newest_edit(project)
        evaluations = []
        for model in models:
            there = None if anew else _usable(model, basis, file, edit)
            evaluations.append(there or _queued(model, basis, file, author, edit))
    return evaluations


def compare_versions(
    *, project: Project, versions: Sequence[int], author: User | None, file: LabelledFile | None = None
) -> list[Evaluation]:
    """Measure what a comparison of versions needs and is not measured yet; returns an evaluation of each.

    Raises `InvalidRequest`.
    """
    require_several(versions)
    return evaluate_versions(project=project, versions=versions, author=author, file=file, anew=False)


def require_several(versions: Sequence[int]) -> None:
    """Raise `InvalidRequest` unless so many versions can be compared."""
    if not 2 <= len(set(versions)) <= MOST_COMPARED:
        raise InvalidRequest(f"Choose 2 to {MOST_COMPARED} versions to compare.")


def bring_file(*, project: Project, author: User | None, file: File) -> LabelledFile:
    """Keep a labelled file to measure versions with; one that is there already is not kept twice.

    Raises `InvalidRequest` with what to mend, `QuotaExceeded`, `BucketError`.
    """
    _require_small(file.size or 0)
    with arrived(file, task_type=project.task_type) as path:
        path = as_zip(path, task_type=project.task_type)
        sha256, size = hash_file(path), path.stat().st_size
        known = LabelledFile.objects.filter(project=project, sha256=sha256).first()
        if known is not None:
            return known
        require_room(project.owner, size)
        found = _read(path, project.task_type)
        row = LabelledFile(
            project=project,
            author=author,
            name=Path(file.name or "").name[:255],
            key=file_key(project, path.suffix),
            size=size,
            sha256=sha256,
            columns=found.columns,
            classes=sorted({one.label for one in found.examples}),
            examples=len(found.examples),
        )
        return _kept(row, path)


@transaction.atomic
def cancel_evaluation(*, evaluation: Evaluation) -> None:
    """End an evaluation. Raises `InvalidRequest` for one that has ended."""
    if not transitions.cancel(evaluation):
        raise InvalidRequest("This evaluation has ended already.")
    evaluation.refresh_from_db()


def delete_evaluation(*, evaluation: Evaluation) -> None:
    """Delete an evaluation that has ended, its answers, and its file when no other has it.

    Files go last: what is left of them then is found by no row and deleted with the project. Raises `InvalidRequest`
    for one under way, `BucketError`.
    """
    if not evaluation.is_final:
        raise InvalidRequest("This evaluation is under way. Cancel it first.")
    get_bucket().delete_folder(f"{folder_of(evaluation.project)}{evaluation.identifier}/")
    file = evaluation.file
    evaluation.delete()
    if file is not None:
        discard_file(file)


def discard_file(file: LabelledFile) -> None:
    """Delete a labelled file unless an evaluation is of it. Raises `BucketError`."""
    with transaction.atomic():
        lock(file.project)  # nobody measures with the file meanwhile
        if file.evaluations.exists() or not LabelledFile.objects.filter(pk=file.pk).delete()[0]:
            return
    get_bucket().delete(file.key)


def _measurable(project: Project, version: int, basis: str, file: LabelledFile | None) -> RegisteredModel:
    """Return a version that can be measured. Raises `InvalidRequest`."""
    model = project.versions.filter(version=version).first()
    if model is None:
        raise InvalidRequest(f"{project.name} has no version {version}.")
    if model.unusable_because:
        raise InvalidRequest(f"Version {version} cannot predict: {model.unusable_because}")
    if basis != Evaluation.Basis.OUT_OF_FOLD and not model.is_serving:
        raise InvalidRequest(f"Version {version} is not live any more. Restore it first, or choose another.")
    require_measurable(model, basis)
    if file is not None and model.classes and not set(file.classes) & set(classes_now(model)):
        told, known = (", ".join(classes[:NAMED]) for classes in (file.classes, classes_now(model)))
        raise InvalidRequest(
            f"Version {version} knows none of the classes in {file.name} ({told}). It knows {known}"
            f"{' and others' if len(model.classes) > NAMED else ''}. Name them alike."
        )
    return model


def _usable(model: RegisteredModel, basis: str, file: LabelledFile | None, edit: int) -> Evaluation | None:
    """Return the newest evaluation of a version, if it is one of the examples as they are now."""
    found = Evaluation.objects.filter(
        model=model, basis=basis, file=file, state__in=(*UNFINISHED, State.SUCCEEDED)
    )
    newest: Evaluation | None = found.order_by("-id").first()
    if newest is None or (basis != Evaluation.Basis.FILE and newest.edit != edit):
        return None
    return newest


def _queued(
    model: RegisteredModel, basis: str, file: LabelledFile | None, author: User | None, edit: int
) -> Evaluation:
    """Write the row of a new evaluation, and announce it; the project is locked. Raises `InvalidRequest`."""
    of_project = Evaluation.objects.filter(project=model.project_id)
    if of_project.unfinished().count() >= MOST_UNFINISHED:
        raise TooManyEvaluations(
            f"{MOST_UNFINISHED} evaluations of this project are under way. Wait until one has ended."
        )
    if of_project.count() >= MOST_KEPT:
        raise TooManyEvaluations(f"This project has {MOST_KEPT:,} evaluations. Delete those you do not need.")
    evaluation = Evaluation.objects.create(
        project_id=model.project_id, model=model, author=author, basis=basis, file=file, edit=edit
    )
    transaction.on_commit(lambda: announce(evaluation))
    logger.info("evaluation.created", evaluation=evaluation.pk, model=model.pk, basis=str(basis))
    return evaluation


def _require_small(size: int) -> None:
    """Raise `InvalidRequest` for what a web process does not read."""
    most = settings.TRAINYARD["VALIDATE_IN_WEB_BYTES"]
    if size > most:
        raise InvalidRequest(
            f"A labelled file has at most {filesizeformat(most)}. Bring some of its examples."
        )


def _read(path: Path, task_type: str) -> Labelled:
    """Return what a labelled file holds. Raises `InvalidRequest`."""
    try:
        found = read_labelled(path, task_type=task_type)
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    if not found.examples:
        first = f" The first: {found.unreadable[0][0]} {found.unreadable[0][1]}." if found.unreadable else ""
        raise InvalidRequest(f"The file has no labelled example that can be read.{first}")
    return found


def _kept(row: LabelledFile, path: Path) -> LabelledFile:
    """Put a labelled file into the bucket and its row into the table: both, or neither."""
    bucket = get_bucket()
    try:
        with path.open("rb") as source:
            bucket.save(row.key, source)
        with transaction.atomic():
            lock(row.project)
            take_room(row.project.owner, row.size)
            known = LabelledFile.objects.filter(project=row.project, sha256=row.sha256).first()
            if known is None:
                row.save()
    except BaseException:
        with contextlib.suppress(BucketError):
            bucket.delete(row.key)
        raise
    if known is not None:  # somebody has brought the same meanwhile
        bucket.delete(row.key)
    return known or row
