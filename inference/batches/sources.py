"""The inputs of a batch: images of a zip, or texts of a table. Knows no Django.

An input that cannot be used is passed on with the reason, so that its row in the result can say it.
"""

import contextlib
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from models_registry.inputs import (
    BLANK,
    TABLE_SUFFIXES,
    ArchiveBudget,
    DataError,
    ImageTooLarge,
    Limits,
    TooManyPixels,
    is_link,
    is_no_photo,
    open_archive,
    open_table,
    resolve_text_column,
)

IMAGES_AT_ONCE = 32  # a fraction of a second; as much is done again after a crash
TEXTS_AT_ONCE = 256


NO_PHOTO = "is no photo, by its name"
REPEATED = "is in the archive more than once; the last one is classified"
LINK = "is a link to another file; put the file itself into the archive"


class Item(NamedTuple):
    """One input: where it stands in its file, and what it is; `problem` says why it is unusable."""

    place: str
    content: bytes | str
    problem: str = ""


class Source(ABC):
    """A file of inputs in a fixed order, so that work can go on where it stopped."""

    suffixes: tuple[str, ...]
    at_once: int

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.limits = limits

    @abstractmethod
    def count(self) -> int:
        """Return the number of inputs. Raises `DataError` for a file that cannot be used."""

    @abstractmethod
    def items(self, start: int) -> Iterator[Item]:
        """Yield the inputs from the one with index `start` on. Raises `DataError`."""

    def chunks(self, start: int) -> Iterator[Sequence[Item]]:
        """Yield the inputs in portions that are classified together."""
        with contextlib.closing(self.items(start)) as items:  # type: ignore[type-var]  # a generator
            while chunk := list(islice(items, self.at_once)):
                yield chunk


class ImageSource(Source):
    """The images of a zip, in whatever folders."""

    suffixes = (".zip",)
    at_once = IMAGES_AT_ONCE

    def count(self) -> int:
        """Return how many files the zip has."""
        with open_archive(self.path, self.limits) as (archive, members):
            count = len(members) + len(_repeated(archive, members))
            _check_rows(count, self.limits)
            return count

    def items(self, start: int) -> Iterator[Item]:
        """Yield the files; those that are no images are found when they are classified."""
        with open_archive(self.path, self.limits) as (archive, members):
            budget = ArchiveBudget(archive, members, self.limits)
            for member in members[start:]:
                if is_link(member):
                    yield Item(member.filename, b"", LINK)
                    continue
                if is_no_photo(member.filename):  # however well it packs, it is not unpacked
                    yield Item(member.filename, b"", NO_PHOTO)
                    continue
                try:
                    content = budget.read(member)
                    budget.count_pixels(content)
                except (ImageTooLarge, TooManyPixels) as error:
                    yield Item(member.filename, b"", str(error))
                else:
                    yield Item(member.filename, content)
            for name in _repeated(archive, members)[max(0, start - len(members)) :]:
                yield Item(name, b"", REPEATED)


def _repeated(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Return the names of files for which a later one of the same name is read."""
    last = {member.filename: member for member in members}
    return [entry.filename for entry in archive.infolist() if last.get(entry.filename, entry) is not entry]


class TextSource(Source):
    """The texts of a table's column."""

    suffixes = (*TABLE_SUFFIXES, ".zip")
    at_once = TEXTS_AT_ONCE

    def __init__(self, path: Path, limits: Limits, column: str = "") -> None:
        super().__init__(path, limits)
        self.column = column

    def count(self) -> int:
        """Return how many rows the table has that are not blank."""
        return sum(1 for _ in self.items(0))

    def items(self, start: int) -> Iterator[Item]:
        """Yield the texts as they stand in the table."""
        table = open_table(self.path, self.limits)
        column = resolve_text_column(table.columns(), self.column, table.sample())
        for number, row in enumerate(table.rows(text=column)):
            _check_rows(number + 1, self.limits)
            if number >= start:
                place = row.place.removeprefix("row ")
                yield (
                    Item(place, "", row.problem) if row.problem else _text_item(place, row.text, self.limits)
                )


def open_source(path: Path, *, is_image: bool, limits: Limits, column: str = "") -> Source:
    """Return the reader for a batch's file. Raises `DataError` for a file of an unknown kind."""
    known = ImageSource.suffixes if is_image else TextSource.suffixes
    if path.suffix.lower() not in known:
        what = "a zip or tar archive of images" if is_image else f"a table of texts ({', '.join(known)})"
        raise DataError(f"This {path.suffix} file is not {what}.")
    return ImageSource(path, limits) if is_image else TextSource(path, limits, column)


def _text_item(place: str, text: str, limits: Limits) -> Item:
    if len(text) > limits.max_field_chars:
        return Item(place, "", f"has {len(text):,} characters; the limit is {limits.max_field_chars:,}")
    return Item(place, text, _why_unusable(text))


def _why_unusable(text: str) -> str:
    if not text.strip(BLANK):
        return "is empty"
    if "\0" in text:
        return "holds NUL characters"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if "\udc80" <= text[error.start] <= "\udcff":
            return "holds bytes that are no text in the table's encoding"
        return "holds half a character"  # JSON can write half of a surrogate pair
    return ""


def _check_rows(count: int, limits: Limits) -> None:
    if count > limits.max_rows:
        raise DataError(
            f"A batch may have {limits.max_rows:,} inputs; this one has more. Send several batches."
        )
