"""More examples for a project: each upload becomes a further shard, and what is new in it is appended."""

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import structlog
from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import transaction
from django.template.defaultfilters import filesizeformat

from accounts.models import User
from accounts.quota import require_room
from core.exceptions import InvalidRequest
from models_registry.inputs import DataError
from models_registry.models import Project, TaskType

from ..datasets.models import Dataset
from ..datasets.services import arrived, as_zip, keep_shard
from ..engine.data.images import locate_members, read_image_archive
from ..engine.data.manifest import CAMERA, TRAIN, UPLOAD, VALIDATION
from ..engine.data.revision import text_digest
from ..engine.data.texts import find_columns, read_text_table
from ..engine.seen_examples import ID, SHOWN
from .edits import checked_label, lock, next_number
from .models import Edit, Example
from .revisions import newest_revision

logger = structlog.get_logger(__name__)

AT_ONCE = 2_000  # rows of one statement
HELD_OUT = 0.3  # of new examples, as the split of a training is unless told otherwise


class Added(NamedTuple):
    """How many examples are new, how many the project has already, and what could not be read, with the reason."""

    edit: Edit | None
    added: int
    known: int
    unreadable: Sequence[tuple[str, str]]


class FoundExample(NamedTuple):
    """One readable example of an upload."""

    place: str
    sha256: str
    label: str
    part: str
    text: str = ""
    group: str = ""
    offset: int | None = None
    packed: int | None = None
    method: int | None = None


def add_examples(*, project: Project, author: User | None, file: File, source: str = UPLOAD) -> Added:
    """Append what is new in a zip with a folder for each class, or a labelled table. Raises `InvalidRequest`.

    Photos of a camera are near copies of those that were taken in the same moment; see `_by_series`.
    """
    require_small(file.size or 0)
    if newest_revision(project) is None:
        raise InvalidRequest(f"The first training of {project} has to end before examples are added.")
    with arrived(file, task_type=project.task_type) as path:
        path = as_zip(path, task_type=project.task_type)
        require_room(project.owner, path.stat().st_size)
        shard = Dataset(name=project.name, owner=project.owner, task_type=project.task_type)
        shard.original_name = Path(file.name or "").name[:255]
        try:
            found, unreadable = read_labelled(shard, path)
        except DataError as error:
            raise InvalidRequest(str(error)) from error
        new = _new(project, _by_series(found) if source == CAMERA else found)
        if not new:
            return Added(None, 0, len(found), unreadable)
        shard.classes, shard.examples = sorted({one.label for one in found}), len(found)
        keep_shard(shard, path)
    edit = _append(project, author, shard, new, source)
    return Added(edit, edit.examples, len(found) - edit.examples, unreadable)


def add_uploads(
    *,
    project: Project,
    author: User | None,
    files: Sequence[File],
    texts: Sequence[str] = (),
    label: str = "",
    source: str = UPLOAD,
) -> Added:
    """Append what somebody hands in: with a class, photos or texts of it; without, a labelled zip or table.

    `source` may be `CAMERA` for photos; their names then say which were taken in a row: `SERIES-anything`.
    Raises `InvalidRequest`, `QuotaExceeded`, `BucketError`.
    """
    is_image = project.task_type == TaskType.IMAGE
    if label and is_image and files:
        return add_photos(project=project, author=author, photos=files, label=label, source=source)
    if label and not is_image and texts and not files:
        return add_texts(project=project, author=author, texts=texts, label=label)
    if label or len(files) != 1:
        what = "photos and their class, or one zip with a folder for each class"
        if not is_image:
            what = "texts and their class, or one table with a column of labels"
        raise InvalidRequest(f"Send {what}.")
    return add_examples(project=project, author=author, file=files[0])


def add_photos(
    *, project: Project, author: User | None, photos: Sequence[File], label: str, source: str = UPLOAD
) -> Added:
    """Append photos of one class. Raises `InvalidRequest`."""
    label = checked_label(label)
    if set(label) & set("/\\"):
        raise InvalidRequest("The name of a class of photos cannot have slashes.")
    require_small(sum(photo.size or 0 for photo in photos))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, photo in enumerate(photos):
            name = PurePosixPath(photo.name or "")
            series = f"{name.stem.partition('-')[0][:ID]}-" if source == CAMERA else ""
            archive.writestr(f"{label}/{series}{number:05}{name.suffix.lower()}", photo.read())
    content = ContentFile(packed.getvalue(), f"{label}.zip")
    return add_examples(project=project, author=author, file=content, source=source)


def add_texts(*, project: Project, author: User | None, texts: Sequence[str], label: str) -> Added:
    """Append texts of one class. Raises `InvalidRequest`."""
    label = checked_label(label)
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(("input", "label"))
    writer.writerows((text, label) for text in texts if text.strip())
    content = ContentFile(table.getvalue().encode(), "texts.csv")
    return add_examples(project=project, author=author, file=content)


def require_small(size: int) -> None:
    """Raise `InvalidRequest` for what a web process does not read."""
    most = settings.TRAINYARD["VALIDATE_IN_WEB_BYTES"]
    if size > most:
        raise InvalidRequest(f"Add at most {filesizeformat(most)} at a time, the rest afterwards.")


def read_labelled(shard: Dataset, path: Path) -> tuple[list[FoundExample], Sequence[tuple[str, str]]]:
    """Return the readable examples of a labelled upload, and what could not be read, with the reason.

    Notes in `shard` which columns of a table were read. Raises `DataError`.
    """
    if shard.task_type == TaskType.IMAGE:
        images = read_image_archive(path)
        places = locate_members(path)
        found = [
            FoundExample(one.name, one.sha256, one.label, one.part, "", "", *places[one.name])
            for one in images.examples
        ]
        return found, images.unreadable
    columns = find_columns(path, {})
    shard.columns = {"input": columns.text, "label": columns.label, "split": columns.split or ""}
    table = read_text_table(path, shard.columns)
    rows = enumerate(zip(table.texts, table.labels, table.parts, strict=True))
    return [
        FoundExample(str(place), text_digest(text), label, part, text[:SHOWN])
        for place, (text, label, part) in rows
    ], table.unreadable


def _new(project: Project, found: Sequence[FoundExample]) -> list[FoundExample]:
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


def _append(
    project: Project, author: User | None, shard: Dataset, new: Sequence[FoundExample], source: str
) -> Edit:
    with transaction.atomic():
        lock(project)
        new = _new(project, new)  # somebody may have added the same in this moment
        number = next_number(project)
        rows = [
            Example(
                project=project,
                shard=shard,
                place=one.place,
                sha256=one.sha256,
                label=checked_label(one.label),
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
            for one in new
        ]
        Example.objects.bulk_create(rows, batch_size=AT_ONCE)
        change = {
            "ids": [row.pk for row in rows],
            "before": {"excluded": True},
            "after": {"excluded": False},
            "edited_in": 0,
            "gives": number,
        }
        edit = Edit.objects.create(
            project=project,
            number=number,
            author=author,
            kind=Edit.Kind.ADD,
            summary=f"{len(rows):,} {'example' if len(rows) == 1 else 'examples'} added",
            examples=len(rows),
            changes=[change],
        )
    logger.info("examples.added", project=project.pk, edit=number, examples=len(rows))
    return edit


def part_of(found: FoundExample) -> str:
    """Return the part of a new example: what the upload says, or else one that follows from its bytes alone."""
    if found.part:
        return {"valid": VALIDATION}.get(found.part, found.part)
    return VALIDATION if int(found.sha256[:8], 16) < HELD_OUT * 2**32 else TRAIN
