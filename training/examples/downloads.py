"""Examples as a download, in the order in which they are shown: a zip with a folder for each class, or a table.

Both are made while they are sent, in memory of a few photos or rows. Cells of the table are written as they are: it is
data that can be uploaded again, and an apostrophe before what a spreadsheet takes for a formula would change it.
"""

import csv
import io
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from django.conf import settings
from django.db.models.functions import Length

from bucket.files import download
from core.exceptions import BucketError
from models_registry.inputs import Corrections, Row
from models_registry.models import Project, TaskType

from ..datasets.models import Dataset
from ..engine.data.labelled import SHOWN
from ..engine.data.texts import iter_text_table
from .models import Example
from .photos import photo_of
from .selectors import Wanted, page_of_examples

AT_ONCE = 500  # rows of a query
COLUMNS = ("label", "split", "source", "excluded", "confirmed", "suggested", "sha256")
LEFT_OUT = "left out.txt"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of a zip's entries: the same examples make the same file


def table_of(project: Project, wanted: Wanted) -> Iterator[str]:
    """Yield a CSV: `input` (a text) or `file` (a photo's place), then `COLUMNS`. Raises `BucketError`."""
    is_text = project.task_type == TaskType.TEXT
    yield _line(["input" if is_text else "file", *COLUMNS])
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        texts = _LongTexts(file)
        if is_text:
            texts.collect(project, wanted)
        for example in _examples(project, wanted):
            yield _line(
                [
                    texts.of(example) if is_text else example.place,
                    *(example.label, example.split, example.source),
                    *(int(example.excluded), int(example.confirmed)),
                    *(example.suggested, example.sha256),
                ]
            )


def photos_of(project: Project, wanted: Wanted) -> Iterator[bytes]:
    """Yield a zip of photos, in a folder for each class; those that cannot be read are named in `LEFT_OUT`."""
    pipe, left_out = _Pipe(), []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for example in _examples(project, wanted):
            try:
                content = photo_of(example)
            except BucketError as error:
                left_out.append(f"{example.place}: {error}\n")
                continue
            archive.writestr(zipfile.ZipInfo(_name_of(example), EPOCH), content)
            yield pipe.taken()
        if left_out:
            archive.writestr(zipfile.ZipInfo(LEFT_OUT, EPOCH), "".join(left_out))
    yield pipe.taken()


class _Pipe(io.RawIOBase):
    """What a zip is written into; it has no position, so that nothing of it has to be kept."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, chunk: Any) -> int:
        """Keep a piece until it is taken."""
        self._chunks.append(bytes(chunk))
        return len(chunk)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


class _LongTexts:
    """The texts of which the rows have the beginning alone: read once out of their uploads, kept in a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[tuple[int, str], tuple[int, int]] = {}  # where each begins, and its bytes

    def collect(self, project: Project, wanted: Wanted) -> None:
        """Read those of the wanted examples. Raises `BucketError`."""
        long = wanted.filter(project).annotate(characters=Length("text")).filter(characters__gte=SHOWN)
        places = defaultdict(set)
        for shard, place in long.values_list("shard", "place").iterator():
            places[shard].add(place)
        for shard in Dataset.objects.filter(pk__in=places).defer("report"):
            for place, text in _texts_of(shard):
                if place in places[shard.pk]:
                    content = text.encode()
                    self._places[shard.pk, place] = self._file.tell(), len(content)
                    self._file.write(content)

    def of(self, example: Example) -> str:
        """Return an example's whole text."""
        begin, size = self._places.get((example.shard_id, example.place), (0, 0))
        if not size:
            return example.text
        self._file.seek(begin)
        return self._file.read(size).decode()


def _texts_of(shard: Dataset) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each usable row of an upload. Raises `BucketError`."""
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder, f"table{PurePosixPath(shard.key).suffix}")
        download(shard.key, path, sha256=shard.sha256, limit=shard.size)
        columns, corrections = {"split": "", **shard.columns}, Corrections.from_json(shard.corrections)
        rows = iter_text_table(path, columns=columns, corrections=corrections)
        usable = (row for row in rows if isinstance(row, Row))
        yield from ((str(place), row.text) for place, row in enumerate(usable))


def _examples(project: Project, wanted: Wanted) -> Iterator[Example]:
    """Yield the examples page by page, each with its upload."""
    shards: dict[int, Dataset] = {}
    page = page_of_examples(project, wanted, size=AT_ONCE)
    while page.examples:
        missing = {one.shard_id for one in page.examples} - shards.keys()
        shards |= Dataset.objects.defer("report").in_bulk(missing) if missing else {}
        for example in page.examples:
            example.shard = shards[example.shard_id]
            yield example
        if not page.after:
            return
        page = page_of_examples(project, wanted, page.after, size=AT_ONCE)


def _name_of(example: Example) -> str:
    """Return a photo's name in the zip: its class, what tells it from others, its own name; no path leads outside."""
    folder = example.label.replace("/", "_").replace("\\", "_")
    folder = "_" + folder if folder.startswith(".") else folder
    return f"{folder}/{example.sha256[:8]}-{PurePosixPath(example.place).name}"


def _line(cells: Sequence[object]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
