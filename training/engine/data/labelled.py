"""Every example of a labelled upload, with its place in it: what a project's data and evaluations are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from models_registry.artifacts.metadata import IMAGE_CLASSIFICATION

from .examples import Progress
from .images import locate_members, read_image_archive
from .revision import text_digest
from .texts import find_columns, read_text_table

SHOWN = 1_000  # characters of a text


class FoundExample(NamedTuple):
    """One readable example of an upload; `offset`, `packed` and `method` say where a photo lies in its zip."""

    place: str
    sha256: str
    label: str
    part: str
    text: str = ""
    group: str = ""
    offset: int | None = None
    packed: int | None = None
    method: int | None = None


@dataclass(frozen=True)
class Labelled:
    """The readable examples, what could not be read, with the reason, and which columns of a table were read."""

    examples: list[FoundExample]
    unreadable: Sequence[tuple[str, str]]
    columns: dict[str, str]


def read_labelled(path: Path, *, task_type: str, progress: Progress | None = None) -> Labelled:
    """Read a zip of photos or a table. Raises `DataError`, and what `progress` raises to stop."""
    read: Callable[[Path, Progress | None], Labelled]
    read = _read_photos if task_type == IMAGE_CLASSIFICATION else _read_texts
    return read(path, progress)


def _read_photos(path: Path, progress: Progress | None) -> Labelled:
    images = read_image_archive(path, progress=progress)
    places = locate_members(path)
    found = [
        FoundExample(one.name, one.sha256, one.label, one.part, "", "", *places[one.name])
        for one in images.examples
    ]
    return Labelled(found, images.unreadable, {})


def _read_texts(path: Path, progress: Progress | None) -> Labelled:
    columns = find_columns(path, {})
    named = {"input": columns.text, "label": columns.label, "split": columns.split or ""}
    table = read_text_table(path, named, progress=progress)
    rows = enumerate(zip(table.texts, table.labels, table.parts, strict=True))
    found = [
        FoundExample(str(place), text_digest(text), label, part, text[:SHOWN])
        for place, (text, label, part) in rows
    ]
    return Labelled(found, table.unreadable, named)
