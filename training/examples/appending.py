"""Appends what is new in a labelled upload to a project's examples, as one edit."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import structlog
from django.db import transaction

from accounts.models import User
from core.exceptions import InvalidRequest
from models_registry.models import Project

from ..datasets.models import Dataset
from ..engine.data.labelled import FoundExample
from ..engine.data.manifest import CAMERA, TRAIN, VALIDATION
from ..engine.seen_examples import ID
from .edits import checked_label, lock_listed, next_number
from .models import Edit, Example

logger = structlog.get_logger(__name__)

AT_ONCE = 2_000  # rows of one statement
HELD_OUT = 0.3  # of new examples, as the split of a training is unless told otherwise


class NothingNew(InvalidRequest):
    """The project has all of it already: somebody has added the same in this moment."""


class NewExamples(NamedTuple):
    """What a project has not of what was found, each once, and how many examples it has already."""

    new: list[FoundExample]
    known: int


def new_examples(project: Project, found: Sequence[FoundExample], source: str) -> NewExamples:
    """Look for what is new, as it is to be appended. Raises `InvalidRequest` for a class that cannot be.

    Photos of a camera that were taken in a row are one group.
    """
    named = [one._replace(label=checked_label(one.label)) for one in found]
    new = _not_there(project, _by_series(named) if source == CAMERA else named)
    return NewExamples(new, len(found) - len(new))


def append_examples(
    *, project: Project, author: User | None, shard: Dataset, new: Sequence[FoundExample], source: str
) -> Edit:
    """Append examples of an upload. Raises `NothingNew`, `InvalidRequest` when the project was deleted meanwhile."""
    with transaction.atomic():
        lock_listed(project)
        if not Project.objects.current().filter(pk=project.pk).exists():
            raise InvalidRequest(f"{project} was deleted meanwhile.")
        there, new = len(new), _not_there(project, new)  # somebody may have added the same in this moment
        if not new:
            raise NothingNew(f"The project has all its {there:,} examples already.")
        number = next_number(project)
        rows = Example.objects.bulk_create(
            [_row(project, shard, one, source, number) for one in new], batch_size=AT_ONCE
        )
        edit = Edit.objects.create(
            project=project,
            number=number,
            author=author,
            kind=Edit.Kind.ADD,
            summary=f"{len(rows):,} {'example' if len(rows) == 1 else 'examples'} added",
            examples=len(rows),
            changes=[_change(rows, number)],
        )
    logger.info("examples.added", project=project.pk, edit=number, examples=len(rows))
    return edit


def part_of(found: FoundExample) -> str:
    """Return the part of a new example: what the upload says, or else one that follows from its bytes alone."""
    if found.part:
        return {"valid": VALIDATION}.get(found.part, found.part)
    return VALIDATION if int(found.sha256[:8], 16) < HELD_OUT * 2**32 else TRAIN


def _row(project: Project, shard: Dataset, one: FoundExample, source: str, number: int) -> Example:
    return Example(
        project=project,
        shard=shard,
        place=one.place,
        sha256=one.sha256,
        label=one.label,
        split=part_of(one),
        source=source,
        group=one.group,
        text=one.text,
        offset=one.offset,
        packed=one.packed,
        method=one.method,
        version=number,
        edited_in=number,
    )


def _change(rows: Sequence[Example], number: int) -> dict[str, object]:
    """Return what takes the addition back: the examples are excluded then."""
    return {
        "ids": [row.pk for row in rows],
        "before": {"excluded": True},
        "after": {"excluded": False},
        "edited_in": 0,
        "gives": number,
    }


def _not_there(project: Project, found: Sequence[FoundExample]) -> list[FoundExample]:
    """Return what the project has not, each once."""
    known: set[str] = set()
    digests = [one.sha256 for one in found]
    for start in range(0, len(digests), AT_ONCE):
        rows = Example.objects.filter(project=project, sha256__in=digests[start : start + AT_ONCE])
        known.update(rows.values_list("sha256", flat=True))
    new = {one.sha256: one for one in reversed(found) if one.sha256 not in known}
    return list(reversed(new.values()))


def _by_series(found: Sequence[FoundExample]) -> list[FoundExample]:
    """Let photos that a camera has taken in a row be one group, which lies in one part as a whole.

    Else a model would be measured on near copies of what it has learnt. The first photo names the group.
    """
    first: dict[str, FoundExample] = {}
    grouped = []
    for one in found:
        leader = first.setdefault(PurePosixPath(one.place).stem.rpartition("-")[0], one)
        grouped.append(one._replace(group=leader.sha256[:ID], part=part_of(leader)))
    return grouped
