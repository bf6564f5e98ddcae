"""More examples for a project: each upload becomes a further shard, and what is new in it is appended.

A web process reads what is small at once (`accept_uploads`) and leaves the rest to a worker (`attempts`); a shell
reads all of it (`add_uploads`).
"""

import contextlib
import csv
import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import structlog
from django.conf import settings
from django.core.files import File

from accounts.models import User
from accounts.quota import require_room
from core.exceptions import InvalidRequest
from models_registry.inputs import Corrections, DataError, NeedsMoreRoom
from models_registry.models import Project, TaskType

from ..datasets.models import Dataset, DatasetValidation
from ..datasets.services import arrived, as_small_zip, as_zip, discard_dataset, keep_shard
from ..datasets.size import Patience, TakesTooLong, is_large
from ..engine.data import Progress
from ..engine.data.labelled import read_labelled
from ..engine.data.manifest import CAMERA, UPLOAD
from ..engine.seen_examples import ID
from .appending import NothingNew, append_examples, new_examples
from .edits import checked_label
from .models import Addition, Edit
from .revisions import newest_revision

logger = structlog.get_logger(__name__)


class Added(NamedTuple):
    """How many examples are new, how many the project has already, and what could not be read, with the reason."""

    edit: Edit | None
    added: int
    known: int
    unreadable: Sequence[tuple[str, str]]


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

    `source` may be `CAMERA` for photos; their names then say which were taken in a row: `SERIES-anything`. They are
    near copies of one another. Raises `InvalidRequest`, `QuotaExceeded`, `BucketError`.
    """
    with _one_file(project, files, texts, label, source) as file, _arrived(project, file) as path:
        shard = _shard(project, file)
        return _add_now(project, author, shard, as_zip(path, task_type=project.task_type), source)


def accept_uploads(
    *,
    project: Project,
    author: User | None,
    files: Sequence[File],
    texts: Sequence[str] = (),
    label: str = "",
    source: str = UPLOAD,
) -> Added | Addition:
    """Do the same without keeping a web process: what is large is kept as it came, and appended by a worker.

    Raises `InvalidRequest` with what to mend, as far as that is found out at once, `QuotaExceeded`, `BucketError`.
    """
    with _one_file(project, files, texts, label, source) as file, _arrived(project, file) as path:
        shard = _shard(project, file)
        try:
            path = as_small_zip(path, task_type=project.task_type)
            if not is_large(path, columns={}, corrections=Corrections()):
                return _add_now(project, author, shard, path, source, progress=Patience())
        except (TakesTooLong, NeedsMoreRoom):
            logger.info("examples.take_long", bytes=path.stat().st_size)
        except DataError as error:
            raise InvalidRequest(str(error)) from error
        return _leave_to_worker(project, author, shard, path, source)


@contextlib.contextmanager
def _one_file(
    project: Project, files: Sequence[File], texts: Sequence[str], label: str, source: str
) -> Iterator[File]:
    """Yield what was handed in as one labelled upload. Raises `InvalidRequest`."""
    is_image = project.task_type == TaskType.IMAGE
    if not label and len(files) == 1:
        yield files[0]
        return
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as packed:
        if label and is_image and files:
            _pack_photos(packed, files, _folder_of(label), source)
            yield File(packed, f"{label}.zip")
        elif label and not is_image and texts and not files:
            _write_texts(packed, texts, checked_label(label))
            yield File(packed, "texts.csv")
        else:
            what = "photos and their class, or one zip with a folder for each class"
            if not is_image:
                what = "texts and their class, or one table with a column of labels"
            raise InvalidRequest(f"Send {what}.")


def _folder_of(label: str) -> str:
    """Return the name of a class of photos. Raises `InvalidRequest`."""
    label = checked_label(label)
    if set(label) & set("/\\"):
        raise InvalidRequest("The name of a class of photos cannot have slashes.")
    return label


def _pack_photos(target: IO[bytes], photos: Sequence[File], folder: str, source: str) -> None:
    """Write photos of one class as a zip; names of a camera's begin with their series."""
    with zipfile.ZipFile(target, "w") as archive:
        for number, photo in enumerate(photos):
            name = PurePosixPath(photo.name or "")
            series = f"{name.stem.partition('-')[0][:ID]}-" if source == CAMERA else ""
            archive.writestr(f"{folder}/{series}{number:05}{name.suffix.lower()}", photo.read())


def _write_texts(target: IO[bytes], texts: Sequence[str], label: str) -> None:
    """Write texts of one class as a table."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(("input", "label"))
    writer.writerows((text, label) for text in texts if text.strip())
    target.write(table.getvalue().encode())


@contextlib.contextmanager
def _arrived(project: Project, file: File) -> Iterator[Path]:
    """Copy an upload to where readers can open it. Raises what `arrived` raises, and `QuotaExceeded`."""
    if newest_revision(project) is None:
        raise InvalidRequest(f"The first training of {project} has to end before examples are added.")
    with arrived(file, task_type=project.task_type) as path:
        require_room(project.owner, path.stat().st_size)
        yield path


def _shard(project: Project, file: File) -> Dataset:
    """Return the row of an upload that nobody has read yet."""
    shard = Dataset(name=project.name, owner=project.owner, task_type=project.task_type)
    shard.original_name = Path(file.name or "").name[:255]
    return shard


def _add_now(
    project: Project,
    author: User | None,
    shard: Dataset,
    path: Path,
    source: str,
    *,
    progress: Progress | None = None,
) -> Added:
    """Read an upload, keep it and append what is new in it. Raises `InvalidRequest`, and what `progress` raises."""
    try:
        read = read_labelled(path, task_type=project.task_type, progress=progress)
    except DataError as error:
        raise InvalidRequest(str(error)) from error
    found = new_examples(project, read.examples, source)
    if not found.new:
        return Added(None, 0, found.known, read.unreadable)
    shard.columns, shard.examples = read.columns, len(read.examples)
    shard.classes = sorted({one.label for one in read.examples})
    keep_shard(shard, path)
    try:
        edit = append_examples(project=project, author=author, shard=shard, new=found.new, source=source)
    except BaseException as error:
        discard_dataset(shard)
        if isinstance(error, NothingNew):
            return Added(None, 0, len(read.examples), read.unreadable)
        raise
    return Added(edit, edit.examples, len(read.examples) - edit.examples, read.unreadable)


def _leave_to_worker(
    project: Project, author: User | None, shard: Dataset, path: Path, source: str
) -> Addition:
    """Keep an upload as it came, and let a worker append what is new in it."""

    def noted(validation: DatasetValidation) -> None:
        Addition.objects.create(validation=validation, project=project, author=author, source=source)

    keep_shard(shard, path, noted=noted)
    addition: Addition = Addition.objects.get(validation__dataset=shard)
    logger.info("examples.left_to_worker", project=project.pk, addition=addition.pk, bytes=shard.size)
    return addition
