"""Changes of examples: each is one row that can be taken back, and none overwrites what its author has not seen.

Edits of one project come one after the other: the project's row is locked for as long as one is written.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from django.db import transaction
from django.db.models import Max, Q, QuerySet

from accounts.models import User
from core.exceptions import InvalidRequest
from core.text import storable
from models_registry.models import Project

from ..engine.data.manifest import TEST
from .models import Edit, Example, Findings

logger = structlog.get_logger(__name__)

AT_ONCE = 5_000  # rows of one statement
LONGEST_LABEL = 200  # characters
SUGGESTED = object()  # in place of a label: each example's own suggestion
# What an edit may change of an example.
FIELDS = ("label", "split", "excluded", "confirmed")


class Outcome(NamedTuple):
    """What became of an edit: how many examples it changed, and how many others had changed meanwhile.

    `edit` is None where nothing was to change.
    """

    edit: Edit | None
    changed: int
    overtaken: int


def relabel(
    *, project: Project, author: User | None, chosen: QuerySet[Example], label: str, seen: int | None = None
) -> Outcome:
    """Give examples another class, which need not exist yet; a person has looked at them. Raises `InvalidRequest`."""
    label = checked_label(label)
    after = {"label": label, "confirmed": True}
    return _edit(project, author, Edit.Kind.RELABEL, chosen, after, f"now “{label}”", seen)


def take_suggestions(
    *, project: Project, author: User | None, chosen: QuerySet[Example], seen: int | None = None
) -> Outcome:
    """Give examples the class that is suggested for each."""
    chosen = chosen.exclude(suggested="")
    after = {"label": SUGGESTED, "confirmed": True}
    return _edit(project, author, Edit.Kind.RELABEL, chosen, after, "now as suggested", seen)


def confirm(
    *, project: Project, author: User | None, chosen: QuerySet[Example], seen: int | None = None
) -> Outcome:
    """Say that labels are right, whatever a model thinks of them."""
    return _edit(project, author, Edit.Kind.CONFIRM, chosen, {"confirmed": True}, "label kept", seen)


def exclude(
    *, project: Project, author: User | None, chosen: QuerySet[Example], seen: int | None = None
) -> Outcome:
    """Let examples be neither learnt from nor measured on."""
    return _edit(project, author, Edit.Kind.EXCLUDE, chosen, {"excluded": True}, "excluded", seen)


def restore(
    *, project: Project, author: User | None, chosen: QuerySet[Example], seen: int | None = None
) -> Outcome:
    """Let excluded examples count again."""
    return _edit(project, author, Edit.Kind.RESTORE, chosen, {"excluded": False}, "restored", seen)


def move_to_test_set(
    *, project: Project, author: User | None, chosen: QuerySet[Example], seen: int | None = None
) -> Outcome:
    """Let examples be measured on only, from the next training on and for good."""
    return _edit(project, author, Edit.Kind.MOVE, chosen, {"split": TEST}, "moved to the test set", seen)


def rename_class(*, project: Project, author: User | None, old: str, new: str) -> Outcome:
    """Give a class another name; one that exists takes its examples in. Raises `InvalidRequest`."""
    new = checked_label(new)
    chosen = Example.objects.filter(project=project, label=old)
    if "\0" in old or not chosen.exists():
        raise InvalidRequest(f"There is no class “{storable(old)}” with examples any more. Reload the page.")
    exists = Example.objects.filter(project=project, label=new).exists()
    words = f"“{old}” merged into “{new}”" if exists else f"“{old}” renamed to “{new}”"
    return _edit(project, author, Edit.Kind.RENAME, chosen, {"label": new}, words, None)


def renamed_classes(project: Project, *, after: int) -> dict[str, str]:
    """Return what classes are called now that were renamed, or merged into others, since revision number `after`."""
    names: dict[str, str] = {}
    taken_back = Edit.objects.filter(project=project).exclude(undone_by=None).values_list("pk", "undone_by")
    undone = {pk: by for pk, by in taken_back if by is not None}
    renames = Edit.objects.filter(project=project, kind=Edit.Kind.RENAME).order_by("number")
    renames = renames.filter(Q(revision=None) | Q(revision__number__gt=after))
    for pk, old, new in renames.values_list("pk", "changes__0__before__label", "changes__0__after__label"):
        if _stands(pk, undone):
            names = {before: new if name == old else name for before, name in names.items()} | {old: new}
    return {before: name for before, name in names.items() if before != name}


def _stands(pk: int, undone: Mapping[int, int]) -> bool:
    """Tell whether an edit has not been taken back, or that was taken back itself."""
    stands = True
    while pk in undone:
        pk, stands = undone[pk], not stands
    return stands


def undo(*, project: Project, author: User | None, number: int | None = None) -> Outcome:
    """Take an edit back, or the author's last one that stands.

    Raises `InvalidRequest` when there is none, or nothing is left of it.

    An undo is an edit as well, and can be taken back. Examples that were edited again since stay as they are.
    """
    with transaction.atomic():
        lock(project)
        edits = Edit.objects.filter(project=project, undone_by=None)
        if number is None:
            edit = edits.filter(author=author).exclude(kind=Edit.Kind.UNDO).first()
        else:
            edit = edits.filter(number=number).first()
        if edit is None:
            raise InvalidRequest("There is nothing to take back: no edit of yours stands.")
        new = next_number(project)
        changes, changed = [], 0
        for change in edit.changes:
            taken_back = []
            for ids in _pieces(change["ids"]):
                rows = Example.objects.filter(project=project, pk__in=ids, edited_in=change["gives"])
                taken_back += list(rows.values_list("pk", flat=True))
                changed += rows.update(**change["before"], edited_in=change["edited_in"], version=new)
            if taken_back:
                changes.append(_reversed(change, taken_back))
        if not changed:
            raise InvalidRequest(
                f"“{edit.summary}” cannot be taken back: its examples were edited again since. "
                "Take the later edits back first."
            )
        taken = Edit.objects.create(
            project=project,
            number=new,
            author=author,
            kind=Edit.Kind.UNDO,
            summary=f"Taken back: {edit.summary}"[:300],
            examples=changed,
            changes=changes,
        )
        Edit.objects.filter(pk=edit.pk).update(undone_by=taken)
    logger.info("examples.undone", project=project.pk, edit=edit.number, examples=changed)
    return Outcome(taken, changed, edit.examples - changed)


def _reversed(change: Mapping[str, Any], ids: list[int]) -> dict[str, Any]:
    """Return what takes the taking back of a change back."""
    return {
        "ids": ids,
        "before": change["after"],
        "after": change["before"],
        "edited_in": change["gives"],
        "gives": change["edited_in"],
    }


def checked_label(label: str) -> str:
    """Return the name of a class as it is kept. Raises `InvalidRequest` with what to mend."""
    label = " ".join(label.split())
    if not label:
        raise InvalidRequest("The name of a class cannot be empty. Type one.")
    if len(label) > LONGEST_LABEL:
        raise InvalidRequest(f"The name of a class has at most {LONGEST_LABEL} characters.")
    if not label.isprintable():
        raise InvalidRequest("The name of a class cannot have control characters.")
    return label


def lock(project: Project) -> None:
    """Let this transaction be the only one that edits the project's examples."""
    Project.objects.select_for_update().only("pk").get(pk=project.pk)


def lock_listed(project: Project) -> None:
    """Do the same for a change of what is listed. Raises `InvalidRequest` while the first training's list is read."""
    lock(project)
    found = Findings.objects.filter(project=project)
    if found.filter(awaited=True, applied_at=None).exists() and not found.exclude(applied_at=None).exists():
        raise InvalidRequest(f"The examples of {project} are being listed. Try again in a moment.")


def next_number(project: Project) -> int:
    """Return the number of the next edit; the project is locked."""
    return newest_edit(project) + 1


def newest_edit(project: Project) -> int:
    """Return the number of the newest edit, 0 before the first."""
    return Edit.objects.filter(project=project).aggregate(newest=Max("number"))["newest"] or 0


def _edit(
    project: Project,
    author: User | None,
    kind: Edit.Kind,
    chosen: QuerySet[Example],
    after: Mapping[str, Any],
    words: str,
    seen: int | None,
) -> Outcome:
    """Change examples that are not so already. `seen` is the newest edit that the author knows of; None: all.

    Raises `InvalidRequest` while they are being listed.
    """
    with transaction.atomic():
        lock_listed(project)
        rows = chosen.filter(project=project)
        overtaken = 0
        if seen is not None:
            overtaken = rows.filter(version__gt=seen).count()
            rows = rows.filter(version__lte=seen)
        groups = _grouped(rows, after)
        changed = sum(len(ids) for ids in groups.values())
        if not changed:
            return Outcome(None, 0, overtaken)
        number = next_number(project)
        edit = Edit(project=project, number=number, author=author, kind=kind, examples=changed)
        edit.summary = f"{changed:,} {'example' if changed == 1 else 'examples'} {words}"[:300]
        edit.changes = [_write(ids, before, number) for before, ids in groups.items()]
        edit.save()
    logger.info("examples.edited", project=project.pk, edit=number, kind=str(kind), examples=changed)
    return Outcome(edit, changed, overtaken)


# Values before, the edit they came from, and values after: alike for all examples of a group.
_Group = tuple[tuple[tuple[str, Any], ...], int, tuple[tuple[str, Any], ...]]


def _grouped(rows: QuerySet[Example], after: Mapping[str, Any]) -> dict[_Group, list[int]]:
    """Return the ids of the examples that change, by what becomes of them."""
    groups: dict[_Group, list[int]] = defaultdict(list)
    found = rows.order_by().values_list("pk", "edited_in", "suggested", *after)
    for pk, edited_in, suggested, *before in found.iterator(chunk_size=AT_ONCE):
        wanted = [suggested if value is SUGGESTED else value for value in after.values()]
        if wanted != before:
            group = tuple(zip(after, before, strict=True)), edited_in, tuple(zip(after, wanted, strict=True))
            groups[group].append(pk)
    return groups


def _write(ids: Sequence[int], group: _Group, number: int) -> dict[str, Any]:
    """Update a group's rows; returns what the edit remembers of them."""
    before, edited_in, after = group
    for piece in _pieces(ids):
        Example.objects.filter(pk__in=piece).update(**dict(after), edited_in=number, version=number)
    return {
        "ids": list(ids),
        "before": dict(before),
        "after": dict(after),
        "edited_in": edited_in,
        "gives": number,
    }


def _pieces(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
