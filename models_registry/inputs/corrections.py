"""What a person says against what is guessed of a data set: which folder is the class, what separates the fields.

Kept with the data set, so that its report, its training and its document read the same examples.
"""

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from .errors import DataError

DEEPEST_LEVEL = 20  # folders around a photo
MOST_CLASSES = 2_000  # that a correction names
LONGEST = 1_000  # characters of a name
SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}  # by a word, in a shell
FOLDERS = "folders"  # of `labels_from`: the folders, whatever tables there are
NO_SPLIT = ""  # of `split`: no column holds the parts


@dataclass(frozen=True)
class Corrections:
    """What was said of a data set; None and empty mean that nothing was, and the guess holds.

    Images: `class_level` is the folder that names the class, counted from the archive's top from 1; `use_split`
    False lets folders called train, valid and test be none of a split; `labels_from` is the file with the
    labels, or "folders"; `name_encoding` the code page of names. Tables: `separator`, `encoding`, `heading`, the
    workbook's `sheet`, the zip's `member`, the columns `input` and `label`, `split` the column of the parts ("": none).
    Both: `merge` gives classes another name, classes of `leave_out` and those with fewer than `min_examples`
    are left out, both by their new names; `group` keeps examples on one side of the split that have the same patient,
    customer or the like: a table's column, or the level of an archive's folders, counted as for `class_level`.
    """

    class_level: int | None = None
    use_split: bool | None = None
    labels_from: str | None = None
    name_encoding: str | None = None
    merge: Mapping[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    min_examples: int | None = None
    separator: str | None = None
    encoding: str | None = None
    heading: bool | None = None
    sheet: str | None = None
    member: str | None = None
    input: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | int | None = None

    @classmethod
    def from_json(cls, said: object) -> Self:
        """Read what `to_json` returns. Raises `DataError` that names the key, the value and what may stand there."""
        if said is None:
            return cls()
        if not isinstance(said, Mapping):
            raise DataError(f"Corrections are a JSON object, not {_shown(said)}.")
        unknown = [key for key in said if key not in READERS]
        if unknown:
            raise DataError(f"There is no correction {_shown(unknown[0])}. Known: {', '.join(READERS)}.")
        return cls(**{key: READERS[key](key, value) for key, value in said.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Return what was said, by its key."""
        said: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None or value in ({}, ()):
                continue
            said[one.name] = list(value) if isinstance(value, tuple) else value
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in said.items()}

    @property
    def columns(self) -> dict[str, str]:
        """Return the columns that were named, by their role; "" of a split says that there is none."""
        group = None if self.group is None else str(self.group)
        named = {"input": self.input, "label": self.label, "split": self.split, "group": group}
        return {role: name for role, name in named.items() if name is not None}

    def class_of(self, label: str) -> str | None:
        """Return the class that examples with a label belong to; None for one that is left out."""
        name = self.merge.get(label, label)
        return None if name in self.leave_out else name


def small_classes(counts: Mapping[str, int], corrections: Corrections) -> set[str]:
    """Return the classes that are left out because they have fewer examples than was asked for."""
    least = corrections.min_examples or 0
    return {name for name, count in counts.items() if count < least}


def _shown(value: object) -> str:
    return repr(value)[:100]


def _wrong(key: str, value: object, remedy: str) -> DataError:
    return DataError(f"The correction {key!r} cannot be {_shown(value)}. {remedy}")


def _whole(least: int, most: int) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(key, value, f"Give a whole number from {least:,} to {most:,}.")
        return value

    return read


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, value, "Give true or false.")
    return value


def _name(key: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not _is_text(value):
        raise _wrong(key, value, f"Give a name of 1 to {LONGEST:,} characters.")
    return value


def _name_or_nothing(key: str, value: object) -> str:
    return "" if value == NO_SPLIT else _name(key, value)


def _separator(key: str, value: object) -> str:
    found = SEPARATORS.get(value.casefold(), value) if isinstance(value, str) else value
    if not isinstance(found, str) or len(found) != 1 or found in '\r\n"\0' or not _is_text(found):
        raise _wrong(key, value, "Give one character, or tab, comma, semicolon, pipe or space.")
    return found


def _encoding(key: str, value: object) -> str:
    """Return the encoding's name in Python; it has to be one of texts."""
    try:
        found = codecs.lookup(_name(key, value))
        "a".encode(found.name)
    except (LookupError, ValueError) as error:  # unknown; not of texts; with NUL
        raise _wrong(key, value, "Give the name of an encoding, such as utf-8, cp1252 or gb18030.") from error
    return found.name


def _name_encoding(key: str, value: object) -> str:
    """Return a code page of names, in which ASCII is ASCII."""
    found = _encoding(key, value)
    if "a/b".encode(found) != b"a/b":
        raise _wrong(key, value, "Give a code page of file names, such as utf-8, cp437 or gbk.")
    return found


def _classes(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_CLASSES:
        raise _wrong(key, value, f"Give a list of at most {MOST_CLASSES:,} classes.")
    return tuple(dict.fromkeys(_name(key, name) for name in value))


def _merge(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > MOST_CLASSES:
        raise _wrong(key, value, f"Give an object of at most {MOST_CLASSES:,} classes and their new names.")
    found = {_name(key, old): _name(key, new).strip() for old, new in value.items()}
    if not all(found.values()):
        raise _wrong(key, value, "A new name cannot be blank.")
    return found


def _group(key: str, value: object) -> str | int:
    if isinstance(value, str):
        return _name(key, value)
    return _whole(1, DEEPEST_LEVEL)(key, value)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


READERS: dict[str, Callable[[str, object], Any]] = {
    "class_level": _whole(1, DEEPEST_LEVEL),
    "use_split": _switch,
    "labels_from": _name,
    "name_encoding": _name_encoding,
    "merge": _merge,
    "leave_out": _classes,
    "min_examples": _whole(1, 1_000_000),
    "separator": _separator,
    "encoding": _encoding,
    "heading": _switch,
    "sheet": _name,
    "member": _name,
    "input": _name,
    "label": _name,
    "split": _name_or_nothing,
    "group": _group,
}
