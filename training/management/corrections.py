"""Corrections of a data set as a shell command takes them, and its plan as a shell command prints it."""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from models_registry.inputs import Corrections, DataError

from ..engine.data.plan import DataPlan, Suggestion

CLASSES_SHOWN = 20
UNREADABLE_SHOWN = 20
TEXTS = {  # flags with one text each, by the correction that they are
    "labels_from": (
        "--labels-from",
        "FILE",
        'images: the table in the archive with the labels; "folders": none',
    ),
    "name_encoding": ("--name-encoding", "PAGE", "images: the code page of names that do not say theirs"),
    "separator": ("--separator", "SIGN", "tables: one character, or tab, comma, semicolon, pipe, space"),
    "encoding": ("--encoding", "NAME", "tables: such as utf-8, cp1252, gb18030"),
    "sheet": ("--sheet", "NAME", "tables: a workbook's sheet"),
    "member": ("--member", "FILE", "tables: a zip's file"),
    "input": ("--input-column", "NAME", "of a table (default: recognised by its name)"),
    "label": ("--label-column", "NAME", "of a table (default: recognised by its name)"),
    "split": ("--split-column", "NAME", 'of a table, with train, valid and test; "": none'),
    "group": ("--group", "NAME", "a table's column, or the level of folders, that keeps examples together"),
}


def add_corrections(parser: CommandParser) -> None:
    """Add a flag for each correction."""
    said = parser.add_argument_group("what is said against the guess of what is in the data")
    said.add_argument(
        "--class-level",
        type=int,
        metavar="N",
        help="images: which folders are the classes; 1 is the outermost",
    )
    said.add_argument(
        "--ignore-split", action="store_true", help="images: folders train, valid and test are no split"
    )
    said.add_argument(
        "--heading", action=argparse.BooleanOptionalAction, help="tables: the first row names columns"
    )
    said.add_argument(
        "--merge", action="append", default=[], metavar="OLD=NEW", help="another name for a class"
    )
    said.add_argument(
        "--leave-out", action="append", default=[], metavar="CLASS", help="a class, may be repeated"
    )
    said.add_argument("--min-examples", type=int, metavar="N", help="leave out classes with fewer")
    for key, (flag, metavar, words) in TEXTS.items():
        said.add_argument(flag, dest=f"said_{key}", metavar=metavar, help=words)


def corrections_of(options: dict[str, Any]) -> Corrections:
    """Return what the flags say. Raises `CommandError`."""
    said: dict[str, Any] = {key: options[f"said_{key}"] for key in TEXTS}
    said |= {key: options[key] for key in ("class_level", "heading", "min_examples")}
    said["use_split"] = False if options["ignore_split"] else None
    said["merge"] = dict(map(_renamed, options["merge"]))
    said["leave_out"] = options["leave_out"]
    if said["group"] and said["group"].isdecimal():
        said["group"] = int(said["group"])
    try:
        return Corrections.from_json(said)
    except DataError as error:
        raise CommandError(str(error)) from error


def _renamed(text: str) -> tuple[str, str]:
    old, found, new = text.rpartition("=")
    if not found or not old or not new:
        raise CommandError(f"--merge {text}: write OLD=NEW.")
    return old, new


def plan_lines(plan: DataPlan) -> Iterator[str]:
    """Yield a plan line by line."""
    shown = sorted(plan.classes.items(), key=lambda pair: -pair[1])[:CLASSES_SHOWN]
    listed = ", ".join(f"{name} {count:,}" for name, count in shown)
    more = f" and {len(plan.classes) - len(shown):,} more" if len(plan.classes) > len(shown) else ""
    far = "" if plan.is_complete or plan.levels else " in its beginning"
    yield f"{plan.examples:,} examples of {len(plan.classes):,} classes{far}: {listed}{more}"
    if plan.parts:
        yield "Its own split: " + ", ".join(f"{part} {count:,}" for part, count in plan.parts.items())
    for reason in plan.left_out:
        names = ", ".join(reason.names)
        yield f"Left out, {reason.reason}: {reason.number:,}{f' ({names})' if names else ''}"
    yield from plan.notes
    for suggestion in plan.suggestions:
        yield f"Or else: {suggestion.label} ({' '.join(flags_of(suggestion))})"


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a report warns of, and some of the examples that could not be read."""
    yield from report.get("warnings", [])
    unreadable = report.get("unreadable", [])
    for one in unreadable[:UNREADABLE_SHOWN]:
        yield f"  {one['name']}: {one['reason']}"
    more = report.get("unreadable_count", 0) - UNREADABLE_SHOWN
    if more > 0:
        yield f"  and {more:,} more"


def flags_of(suggestion: Suggestion) -> Iterator[str]:
    """Yield the flags that say what a suggestion means; what is taken back is said by leaving out its flag."""
    for key, value in suggestion.corrections.items():
        if value is None:
            yield f"without {_flag(key)}"
        elif key == "use_split":
            yield "--ignore-split"
        elif key == "merge":
            yield from (f"--merge {_quoted(f'{old}={new}')}" for old, new in value.items())
        elif key == "leave_out":
            yield from (f"--leave-out {_quoted(name)}" for name in value)
        elif isinstance(value, bool):
            yield f"--{'' if value else 'no-'}{key}"
        else:
            yield f"{_flag(key)} {_quoted(str(value))}"


def _flag(key: str) -> str:
    if key == "use_split":
        return "--ignore-split"
    return TEXTS[key][0] if key in TEXTS else f"--{key.replace('_', '-')}"


def _quoted(value: str) -> str:
    return "tab" if value == "\t" else shlex.quote(value)
