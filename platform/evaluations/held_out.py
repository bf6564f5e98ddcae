"""Which examples a version may be measured on: those that it has not learnt from, or that were left out meanwhile."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from bucket.files import download
from core.exceptions import InvalidRequest
from models_registry.models import Project, RegisteredModel
from training.engine.data.manifest import TEST, TRAIN, VALIDATION, Manifest
from training.engine.seen_examples import read_seen_examples, read_seen_examples_in_pieces
from training.examples.edits import lock, newest_edit, renamed_classes
from training.examples.models import Example, Findings
from training.jobs.models import TrainingJob

from .models import Evaluation
from .results import SHOWN, Answered

FIRST_REVISION = 1  # the upload of a project's first training, as it came
AT_ONCE = 20_000  # examples of a file in memory
MOST = 20_000  # examples that a version is run on; of more, those with the smallest digests, which are a fair draw


@dataclass(frozen=True)
class Learnt:
    """What a version has learnt from: digests of examples, and groups whose members are much alike."""

    digests: frozenset[str]
    groups: frozenset[str]

    def has(self, sha256: str, group: str = "") -> bool:
        """Tell whether it has learnt from an example, or from one that belongs to it."""
        return sha256 in self.digests or (bool(group) and group in self.groups)


NOTHING = Learnt(frozenset(), frozenset())


class Row(NamedTuple):
    """An example of a project as it is now."""

    pk: int
    shard: str
    place: str
    sha256: str
    label: str
    group: str
    text: str


@dataclass(frozen=True)
class Snapshot:
    """Examples as they were at one moment: after edit number `edit`."""

    rows: list[Row]
    edit: int


def basis_of(project: Project) -> str:
    """Return what versions are measured on unless a file is named: the test part, where there is one."""
    tests = Example.objects.filter(project=project, split=TEST, excluded=False)
    return Evaluation.Basis.TEST if tests.exists() else Evaluation.Basis.OUT_OF_FOLD


def require_measurable(model: RegisteredModel, basis: str) -> None:
    """Raise `InvalidRequest` for a version of which it is not known what it has learnt from."""
    if basis == Evaluation.Basis.FILE:
        return
    findings = Findings.objects.filter(model=model).first()
    if findings is not None and findings.awaited and basis == Evaluation.Basis.OUT_OF_FOLD:
        raise InvalidRequest(
            f"The data of version {model.version} are still being looked at. Ask again in a minute; if it is the same "
            "in half an hour, train again."
        )
    if findings is not None:
        return
    raise InvalidRequest(
        f"It is not known what version {model.version} has learnt from, so that the project's own examples may not "
        "measure it. Bring a labelled file."
    )


def test_part(project: Project) -> Snapshot:
    """Return the test part as it is now."""
    return _snapshot(project, split=TEST)


def learnt_by(model: RegisteredModel) -> Learnt:
    """Return what a version has learnt from; nothing where that is not known. Raises `BucketError`.

    A head that was fitted once more on both parts has learnt from the validation part as well.
    """
    findings = Findings.objects.filter(model=model).first()
    if findings is None:
        return NOTHING
    parts = {TRAIN, VALIDATION} if model.metrics.get("refit_on_all", True) else {TRAIN}
    digests, groups = set[str](), set[str]()
    with _fetched(findings) as path:
        for manifest, _ in read_seen_examples_in_pieces(path, AT_ONCE):
            chosen = zip(manifest.splits, manifest.excluded, manifest.digests, manifest.groups, strict=True)
            learnt = [pair for split, excluded, *pair in chosen if split in parts and not excluded]
            digests.update(digest for digest, _ in learnt)
            groups.update(group for _, group in learnt if group)
    return Learnt(frozenset(digests), frozenset(groups))


def names_now(model: RegisteredModel) -> dict[str, str]:
    """Return what those classes of a version are called now that were renamed or merged since it was trained."""
    found = TrainingJob.objects.filter(registered_model=model).values_list("revision__number", flat=True)
    assert model.project is not None
    return renamed_classes(model.project, after=found.first() or FIRST_REVISION)


def classes_now(model: RegisteredModel) -> list[str]:
    """Return the classes of a version under their names of now."""
    names = names_now(model)
    return sorted({names.get(label, label) for label in model.classes})


def out_of_fold(project: Project, model: RegisteredModel) -> tuple[list[Answered], int]:
    """Return what was answered to each example while it was left out, under the labels of now; and the newest edit.

    The training of a version has asked that of the heads that it fitted on parts of the data, see `Findings`.
    Raises `BucketError`.
    """
    findings = Findings.objects.get(model=model)
    with _fetched(findings) as path:
        manifest, further = read_seen_examples(path)
    snapshot = _snapshot(project)
    rows = {(row.shard, row.place): row for row in snapshot.rows}
    names, answers = names_now(model), []
    for index, row in ((index, rows.get(key)) for index, key in enumerate(_keys(manifest))):
        given, likely = further["given"][index], further["likely"][index]
        if row is None or not isinstance(given, float) or not isinstance(likely, float):
            continue
        before, other = (
            names.get(one, one) for one in (manifest.labels[index], str(further["suggested"][index]))
        )
        answers.append(
            Answered(
                sha256=row.sha256,
                label=row.label,
                predicted=before if given >= likely else other,
                probability=max(given, likely),
                own={other: likely, before: given}.get(row.label),
                place=row.place,
                example=row.pk,
                group=row.group,
                text=row.text[:SHOWN],
            )
        )
    return answers, snapshot.edit


def _keys(manifest: Manifest) -> Iterator[tuple[str, str]]:
    return zip(manifest.shards, manifest.places, strict=True)


@contextmanager
def _fetched(findings: Findings) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder, "findings.parquet")
        download(findings.key, path, sha256=findings.sha256, limit=findings.size)
        yield path


@transaction.atomic
def _snapshot(project: Project, **which: object) -> Snapshot:
    """Return examples that count, all of one moment; without a part named, those that are trained with."""
    lock(project)
    found = Example.objects.filter(project=project, excluded=False, **which).order_by("id")
    if not which:
        found = found.exclude(split=TEST)
    fields = ("pk", "shard__sha256", "place", "sha256", "label", "group", "text")
    rows = [Row(*values) for values in found.values_list(*fields)]
    return Snapshot(rows, newest_edit(project))
