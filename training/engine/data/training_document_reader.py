"""A training.json of any size taken apart: its settings in memory, its data set in a file.

Keys may come in any order. What is wrong is said with its place in the document, and nothing of the
document is believed: not a size, not a name.
"""

import math
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from models_registry.inputs import DataError, Limits

from .base64_stream import decode_base64
from .images import why_no_class_name
from .json_stream import LongString, Readable, json_events

MORE_THAN_THE_DATA = 64 << 20  # bytes of a document beside its data set
MOST_ENTRIES = 16  # of an object that is a setting
LARGEST_INTEGER = 2**63 - 1  # that a database holds
SHOWN = 50  # characters of a name in a message

Json = Any  # what a document holds, of any shape until it is checked
Events = Iterator[tuple[str, Json]]


@dataclass(frozen=True)
class ExternalDocument:
    """What a document holds.

    `settings` are the values of the keys that were asked for. The data set is either a file at
    `path`, a zip with a folder for each class or a CSV, or else named by `reference`.
    """

    settings: dict[str, Json]
    path: Path | None
    reference: dict[str, Json] | None


def take_apart(
    source: Readable, folder: Path, *, keys: Iterable[str], limits: Limits | None = None
) -> ExternalDocument:
    """Read a document to its end, and write its data set into `folder`.

    Raises `DataError` for what is no JSON object, has no data set or one that is none of the format's
    forms, or is over the limits.
    """
    limits = limits or Limits()
    # four characters of base64 for three bytes, and as much again for escapes and white space
    longest = limits.max_bytes * 8 // 3 + MORE_THAN_THE_DATA
    events = json_events(source, limit=longest, folder=folder)
    return _TakingApart(events, folder, frozenset(keys), limits).document()


class _TakingApart:
    """One document on its way from events to files."""

    def __init__(self, events: Events, folder: Path, keys: frozenset[str], limits: Limits) -> None:
        self.events, self.folder, self.keys, self.limits = events, folder, keys, limits
        self.settings: dict[str, Json] = {}
        self.path: Path | None = None
        self.reference: dict[str, Json] | None = None

    def document(self) -> ExternalDocument:
        """Read everything."""
        if next(self.events)[0] != "start_map":
            raise DataError("The document is no JSON object.")
        seen = set()
        for event, key in self.events:
            if event == "end_map":
                break
            if key in seen:
                raise DataError(f"The document has the key {key!r} twice.")
            if key == "dataset":
                self._dataset(*next(self.events))
            elif key in self.keys:
                self.settings[key] = self._value(*next(self.events), place=key)
            else:
                self._skip(*next(self.events))
                continue
            seen.add(key)
        for _ in self.events:  # what follows the object is an error, which only its end shows
            pass
        if "dataset" not in seen:
            raise DataError('The document has no "dataset".')
        return ExternalDocument(self.settings, self.path, self.reference)

    def _value(self, event: str, value: Json, *, place: str) -> Json:
        """Return a small value: a scalar, or an object of them."""
        if event == "start_map":
            entries: dict[str, Json] = {}
            for inner, key in self.events:
                if inner == "end_map":
                    return entries
                _check_text(key, place=f"A name in {place}")
                entries[key] = self._scalar(*next(self.events), place=f"{place}.{key[:SHOWN]}")
                if len(entries) > MOST_ENTRIES:
                    raise DataError(f"{place} has more entries than it can have.")
        return self._scalar(event, value, place=place)

    @staticmethod
    def _scalar(event: str, value: Json, *, place: str) -> Json:
        if event in ("start_array", "start_map"):
            raise DataError(f"{place} holds a list or an object, which it should not.")
        if isinstance(value, LongString):
            raise DataError(f"{place} holds a text that is too long.")
        if isinstance(value, str):
            _check_text(value, place=place)
        return _number(value, place=place) if isinstance(value, int | Decimal) else value

    def _skip(self, event: str, _: object) -> None:
        """Pass over the value of a key that is somebody else's."""
        depth = int(event in ("start_map", "start_array"))
        while depth:
            event, _ = next(self.events)
            depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))

    def _dataset(self, event: str, value: Json) -> None:
        if event == "string":
            self.path = self.folder / "dataset.csv"
            with self.path.open("wb") as target:
                for piece in self._decoded(value, place="dataset", limit=self.limits.max_bytes):
                    target.write(piece)
        elif event == "start_map":
            self._classes_or_reference()
        else:
            raise DataError(
                "dataset is neither an object of classes with base64 images nor one base64 text of a CSV."
            )

    def _classes_or_reference(self) -> None:
        """Read `{class: [base64, …]}` or `{"$ref": key, …}`; both are objects."""
        path, reference = self.folder / "dataset.zip", {}
        with zipfile.ZipFile(path, "w") as archive:
            images = _ImageWriter(archive, self.limits)
            for event, key in self.events:
                if event == "end_map":
                    break
                event, value = next(self.events)
                if event == "start_array":
                    self._images(images, key)
                else:
                    _check_text(key, place="A name in dataset")
                    reference[key] = self._value(event, value, place=f"dataset.{key[:SHOWN]}")
                    if len(reference) > MOST_ENTRIES:
                        raise DataError(f"The class {key[:SHOWN]!r} of the data set holds no list of images.")
        if not reference:
            self.path = path
            return
        if images.classes or "$ref" not in reference:
            odd = next(name for name in reference if name != "$ref" or images.classes)
            raise DataError(f"The class {odd[:SHOWN]!r} of the data set holds no list of base64 images.")
        self.reference = reference
        path.unlink()

    def _images(self, images: "_ImageWriter", label: str) -> None:
        images.begin(label)
        for number, (event, value) in enumerate(self.events):
            if event == "end_array":
                return
            place = f"dataset[{label[:SHOWN]!r}][{number}]"
            if event != "string":
                raise DataError(f"{place} is no text; it should be an image in base64.")
            images.add(self._decoded(value, place=place, limit=self.limits.max_entry_bytes))

    @staticmethod
    def _decoded(value: "str | LongString", *, place: str, limit: int) -> Iterator[bytes]:
        """Yield what a base64 string stands for."""
        size = 0
        try:
            pieces = value.pieces() if isinstance(value, LongString) else iter([value.encode()])
            for piece in decode_base64(pieces):
                size += len(piece)
                if size > limit:
                    break
                yield piece
        except ValueError as error:
            raise DataError(f"{place} is no base64 ({error}).") from error
        if size > limit:
            raise DataError(f"{place} has more than the {limit:,} bytes that it may have.")


def _check_text(text: str, *, place: str) -> None:
    """Raise `DataError` for a text that no database can hold."""
    if "\0" in text:
        raise DataError(f"{place} holds NUL, which no name or setting may.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place} holds half a surrogate pair, which is no character.") from error


def _number(value: int | Decimal, *, place: str) -> int | float:
    """Return a number as a setting has it. Raises `DataError` for one that is too large."""
    number = float(value) if isinstance(value, Decimal) else value
    if abs(number) > LARGEST_INTEGER or not math.isfinite(number):
        raise DataError(f"{place} is a number larger than {LARGEST_INTEGER:,}, which no setting can be.")
    return number


class _ImageWriter:
    """Writes images into a zip with a folder for each class."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self.classes: set[str] = set()
        self._archive, self._limits = archive, limits
        self._label, self._entries, self._bytes = "", 0, 0

    def begin(self, label: str) -> None:
        """Go on with a class. Raises `DataError` for one that is there already or cannot be a folder's name."""
        reason = why_no_class_name(label)
        if reason:
            raise DataError(f"A class is called {label[:SHOWN]!r}, which {reason}. Rename it.")
        if len(label) > self._limits.max_class_name_chars:
            raise DataError(
                f"The name of the class {label[:SHOWN]!r}… has more than "
                f"{self._limits.max_class_name_chars} characters."
            )
        if label in self.classes:
            raise DataError(f"The data set has the class {label!r} twice.")
        if len(self.classes) == self._limits.max_classes:
            raise DataError(f"There are more than {self._limits.max_classes:,} classes, the limit.")
        self.classes.add(label)
        self._label = label

    def add(self, content: Iterator[bytes]) -> None:
        """Write one image of the class. Raises `DataError` over the limits."""
        if self._entries == self._limits.max_entries:
            raise DataError(f"There are more than {self._limits.max_entries:,} images, the limit.")
        # numbered through, so that names of classes that differ in case only do not collide
        entry = zipfile.ZipInfo(f"{self._label}/{self._entries:06}.img")
        with self._archive.open(entry, "w") as target:
            for piece in content:
                self._bytes += target.write(piece)
        self._entries += 1
        if self._bytes > self._limits.max_bytes:
            raise DataError(
                f"The images have more than the {self._limits.max_bytes:,} bytes that they may have."
            )
