"""The calls of `manage.py project examples`: list, mend, take that back, add more, write to a file."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.management.base import CommandParser
from django.db.models import QuerySet

from core.exceptions import InvalidRequest
from models_registry.models import Project, TaskType

from ..engine.data.manifest import TEST
from ..examples import edits
from ..examples.additions import add_uploads
from ..examples.downloads import photos_of, table_of
from ..examples.models import Example
from ..examples.selectors import SHOW, SOURCES, Wanted, page_of_examples

Options = Mapping[str, Any]
Rows = list[dict[str, object]]
FILTERS = {"class": "class", "split": "split", "show": "show", "text": "q", "source": "source", "by": "by"}
SHOWN = 100  # examples, unless told otherwise

HELP = {
    "list": "list examples",
    "relabel": "give examples another class",
    "take": "give examples the class that is suggested for each",
    "keep": "say that labels are right",
    "exclude": "let examples be neither learnt from nor measured on",
    "restore": "let excluded examples count again",
    "test": "let examples be measured on only",
    "rename": "give a class another name, or merge it into another",
    "undo": "take an edit back",
    "add": "append photos of a class, or a labelled zip or table",
    "download": "write examples to a file: a table (.csv), or photos in a folder for each class (.zip)",
}
CHOOSE = ("relabel", "take", "keep", "exclude", "restore", "test")  # which change what the filters leave
DONE_ALIKE = {
    "take": edits.take_suggestions,
    "keep": edits.confirm,
    "exclude": edits.exclude,
    "restore": edits.restore,
    "test": edits.move_to_test_set,
}


def add_calls(parser: CommandParser) -> None:
    """Let a parser read the calls about examples: `examples_call`, the project, and what each takes."""
    calls = parser.add_subparsers(dest="examples_call", required=True)
    for name, words in HELP.items():
        call = calls.add_parser(name, help=words)
        call.add_argument("project", help="its identifier or its token")
        if name in (*CHOOSE, "list", "download"):
            _add_filters(call)
        if name in CHOOSE:
            call.add_argument("--ids", help="these examples alone: 17,18")
            call.add_argument("--all", action="store_true", help="every example of the project")
    calls.choices["list"].add_argument(
        "--limit", type=int, default=SHOWN, help=f"{SHOWN} unless told otherwise"
    )
    calls.choices["relabel"].add_argument("label", metavar="CLASS")
    calls.choices["rename"].add_argument("old")
    calls.choices["rename"].add_argument("new")
    calls.choices["undo"].add_argument("--edit", type=int, help="its number; else the newest of the shell")
    calls.choices["add"].add_argument("files", nargs="+", type=Path, metavar="FILE")
    calls.choices["add"].add_argument("--label", metavar="CLASS", default="", help="of photos")
    calls.choices["download"].add_argument("output", type=Path)


def _add_filters(parser: CommandParser) -> None:
    parser.add_argument("--class", default="", help="of this class")
    parser.add_argument("--split", default="", choices=("train", "validation", TEST))
    parser.add_argument("--show", default="", choices=[one for one in SHOW if one])
    parser.add_argument("--text", default="", help="in the text, or the name of the file")
    parser.add_argument("--source", default="", choices=list(SOURCES))
    parser.add_argument("--by", default="", metavar="USERNAME", help="whose newest change is this person's")


def carry_out(project: Project, options: Options) -> Rows:
    """Do what `add_calls` has read; returns what to tell.

    Raises `InvalidRequest`, `QuotaExceeded`, `BucketError`, OSError.
    """
    call = options["examples_call"]
    if call in CHOOSE:
        return _told(_edited(call, project, options))
    others: dict[str, Callable[[], Rows]] = {
        "list": lambda: _listed(project, options),
        "rename": lambda: _told(
            edits.rename_class(project=project, author=None, old=options["old"], new=options["new"])
        ),
        "undo": lambda: _told(edits.undo(project=project, author=None, number=options["edit"])),
        "add": lambda: _added(project, options),
        "download": lambda: _downloaded(project, options),
    }
    return others[call]()


def _edited(call: str, project: Project, options: Options) -> edits.Outcome:
    chosen = _chosen(project, options)
    if call == "relabel":
        return edits.relabel(project=project, author=None, chosen=chosen, label=options["label"])
    return DONE_ALIKE[call](project=project, author=None, chosen=chosen)


def _wanted(options: Options) -> Wanted:
    return Wanted.of({name: options[option] for option, name in FILTERS.items()})


def _chosen(project: Project, options: Options) -> QuerySet[Example]:
    """Return what an edit is for: never all examples unless it says so."""
    rows = _wanted(options).filter(project)
    if options["ids"]:
        numbers = options["ids"].split(",")
        if not all(number.strip().isdecimal() for number in numbers):
            raise InvalidRequest(f"{options['ids']!r} are no numbers of examples. Give them as in 17,18.")
        return rows.filter(pk__in=[int(number) for number in numbers])
    if not options["all"] and not _wanted(options).parameters():
        raise InvalidRequest("Say which examples: by a filter, by --ids, or --all.")
    return rows


def _listed(project: Project, options: Options) -> Rows:
    page = page_of_examples(project, _wanted(options), size=max(1, options["limit"]))
    return [
        {
            "id": one.pk,
            "class": one.label,
            "split": one.split,
            "excluded": "excluded" if one.excluded else "",
            "suggested": one.suggested if one.doubt is not None else "",
            "doubt": None if one.doubt is None else round(one.doubt, 3),
            "example": one.text or one.place,
        }
        for one in page.examples
    ]


def _told(outcome: edits.Outcome) -> Rows:
    edit = outcome.edit
    return [
        {
            "edit": edit.number if edit else None,
            "changed": outcome.changed,
            "summary": edit.summary if edit else "Nothing was to change.",
        }
    ]


def _added(project: Project, options: Options) -> Rows:
    with ExitStack() as stack:
        files = [File(stack.enter_context(path.open("rb")), path.name) for path in options["files"]]
        found = add_uploads(project=project, author=None, files=files, label=options["label"])
    return [{"added": found.added, "known": found.known, "unreadable": len(found.unreadable)}]


def _downloaded(project: Project, options: Options) -> Rows:
    """Write to a temporary file and rename it when it is complete."""
    output: Path = options["output"]
    if output.suffix not in (".csv", ".zip"):
        raise InvalidRequest(f"{output} ends neither in .csv nor in .zip.")
    if output.suffix == ".zip" and project.task_type != TaskType.IMAGE:
        raise InvalidRequest("Texts come as a table: name a .csv file.")
    draft = output.with_name(f".{output.name}.part")
    try:
        with draft.open("wb") as file:
            if output.suffix == ".zip":
                file.writelines(photos_of(project, _wanted(options)))
            else:
                file.writelines(line.encode() for line in table_of(project, _wanted(options)))
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return [{"output": str(output), "bytes": output.stat().st_size}]
