"""How our tables and a document in the bucket become one: three-way merges as pure functions of plain data.

The base is the document as we last knew it. What changed on one side only is kept; what changed on
both is decided by who owns it; keys and entries of other programs stay.

Two spellings of a value may mean the same ("10-01-2021 18:13" and "10-01-21 18:13", 0.66 and 66 %):
`canonical` gives our spelling of a document's fields, and comparing is done on that, so that a
document is not rewritten only to spell it our way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

Json = dict[str, Any]
Canonical = Callable[[Json], Json]  # fields it cannot read are left out

UNSEEN_FOR = timedelta(minutes=2)  # that a program may take from its reading of a document to its writing
PUT_BACK_AT_MOST = (
    3  # times in a row that an entry comes back, should another program remove it again and again
)

_ABSENT: object = object()


@dataclass(frozen=True)
class Ownership:
    """Who decides about a field that both sides changed, and which edits of a document we can follow.

    `operator` fields are decided by the document, all others by us. An edit of a field that is not
    `followed` is undone, because there is nowhere to take it to.
    """

    operator: frozenset[str] = frozenset()
    followed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Overruled:
    """A change that lost against another: the field, its value, and whose change it was."""

    field: str
    value: object
    by: str  # "database" or "document": the side that won


@dataclass(frozen=True)
class Merged:
    """The fields to write, those of ours that follow the document (canonical), and what lost."""

    document: Json
    followed: Json = field(default_factory=dict)
    overruled: tuple[Overruled, ...] = ()


@dataclass(frozen=True)
class Write:
    """A write of ours of an entry: what the fields that it changed said before; None: there was no entry.

    Who read the document before it and writes it back without a condition cannot have seen it, and undoes it.
    """

    at: datetime
    before: Json | None = None
    put_back: int = 0  # how often the entry was put back before and with this write


def unseen(writes: Iterable[Write], *, now: datetime) -> tuple[Write, ...]:
    """Return the writes that a program whose write is seen now may not have seen."""
    return tuple(write for write in writes if now - write.at < UNSEEN_FOR)


def may_come_back(writes: Iterable[Write]) -> bool:
    """Tell whether an entry that vanished was new, among writes that the one who removed it may not have seen."""
    found = list(writes)
    times = max((write.put_back for write in found), default=0)
    return any(write.before is None for write in found) and times < PUT_BACK_AT_MOST


def merge_fields(
    *,
    base: Json | None,
    ours: Json,
    theirs: Json,
    canonical: Canonical,
    ownership: Ownership,
    writes: Sequence[Write] = (),
) -> Merged:
    """Merge an object of fixed fields; `base` is None when we never knew it, `ours` is canonical.

    `writes` are those of ours that the others may not have seen: where theirs says again what stood there
    before one, ours stays.
    """
    known, found = canonical(base) if base is not None else {}, canonical(theirs)
    document, followed, overruled = dict(theirs), {}, []
    for name, value in ours.items():
        before, now = _reading(base or {}, known, name, value), _reading(theirs, found, name, value)
        if now == value:
            continue
        their_edit, our_edit = now != before, value != before
        if their_edit and _follows(name, now, ownership, writes, our_edit=our_edit):
            followed[name] = now
            if our_edit and before is not _ABSENT:
                overruled.append(Overruled(name, value, by="document"))
            continue
        document[name] = value
        if their_edit and base is not None:
            overruled.append(Overruled(name, theirs.get(name), by="database"))
    return Merged(document, followed, tuple(overruled))


def _follows(
    name: str, now: object, ownership: Ownership, writes: Sequence[Write], *, our_edit: bool
) -> bool:
    """Tell whether our field becomes what others wrote, `now`; `our_edit`: we have changed it as well."""
    if now is _ABSENT or name not in ownership.followed | ownership.operator:
        return False
    if any(name in (write.before or {}) and (write.before or {})[name] == now for write in writes):
        return False  # they wrote back what stood there before a write of ours that they had not seen
    return not our_edit or name in ownership.operator


def _reading(written: Json, canonical: Json, name: str, ours: object) -> object:
    """Return what a field says; one that is written just as we would write it says what we say."""
    return ours if written.get(name, _ABSENT) == ours else canonical.get(name, _ABSENT)


def after_sending(
    *, base: object, theirs: object, sent: Mapping[str, str] | None, digest: Callable[[object], str]
) -> object:
    """Return the base of an object that we have sent and whose landing we could not see.

    `sent` holds a digest of each field, None when we took the object out. Fields that say what we sent
    are known; all others are as we knew them, so an edit that others made on top of ours stays one.
    """
    if sent is None:
        return None if theirs is None else base
    if not isinstance(theirs, dict):
        return base
    landed = {
        name: theirs[name] for name, known in sent.items() if name in theirs and digest(theirs[name]) == known
    }
    return {**base, **landed} if isinstance(base, dict) else landed or base


class Fate(Enum):
    """What becomes of an entry."""

    KEEP = "keep"  # `document` is what to write
    GONE = "gone"  # there is no entry, and none has to be written
    VANISHED = "vanished"  # others removed an entry of ours that we had not touched: our row follows
    PUT_BACK = "put back"  # it vanished in a write that may not have seen it: it is written once more
    EXTERNAL = "external"  # others brought it: it stays as it is, and may become a row of ours


@dataclass(frozen=True)
class MergedEntry:
    """What becomes of one entry; `document` is None when there is none to write."""

    fate: Fate
    document: Any = None
    followed: Json = field(default_factory=dict)
    overruled: tuple[Overruled, ...] = ()


def merge_entry(
    *,
    base: object,
    ours: Json | None,
    theirs: object,
    external: bool,
    canonical: Canonical,
    ownership: Ownership,
    writes: Sequence[Write] = (),
    has_files: bool = False,
) -> MergedEntry:
    """Merge one entry of a document of many; None stands for no entry.

    `external` tells that we knew the entry, and that it never was one of our rows; `writes` are those of ours
    that the others may not have seen, and `has_files` that what the entry names is still there.
    """
    if ours is None:
        return _without_ours(base=base, theirs=theirs, external=external)
    if not isinstance(theirs, dict):
        back = has_files and may_come_back(writes)
        return _without_theirs(base=base, ours=ours, theirs=theirs, canonical=canonical, comes_back=back)
    merged = merge_fields(
        base=base if isinstance(base, dict) else None,
        ours=ours,
        theirs=theirs,
        canonical=canonical,
        ownership=ownership,
        writes=writes,
    )
    return MergedEntry(Fate.KEEP, merged.document, merged.followed, merged.overruled)


def _without_ours(*, base: object, theirs: object, external: bool) -> MergedEntry:
    if theirs is None:
        return MergedEntry(Fate.GONE)
    if base is None or external:
        return MergedEntry(Fate.EXTERNAL, theirs)
    edited = () if theirs == base else (Overruled("", theirs, by="database"),)
    return MergedEntry(Fate.GONE, overruled=edited)


def _without_theirs(
    *, base: object, ours: Json, theirs: object, canonical: Canonical, comes_back: bool
) -> MergedEntry:
    untouched = isinstance(base, dict) and agrees(base, ours, canonical)
    if theirs is None and untouched:
        if comes_back:
            return MergedEntry(Fate.PUT_BACK, base, overruled=(Overruled("", None, by="database"),))
        return MergedEntry(Fate.VANISHED)
    overruled = () if base is None and theirs is None else (Overruled("", theirs, by="database"),)
    return MergedEntry(Fate.KEEP, {**_strangers(base, ours), **ours}, overruled=overruled)


def writes_after(
    *,
    base: object,
    ours: Json | None,
    theirs: object,
    merged: MergedEntry,
    canonical: Canonical,
    writes: Sequence[Write],
    now: datetime,
) -> tuple[Write, ...]:
    """Return our writes of an entry that others may not have seen yet, the one of this merge among them."""
    if ours is None or not isinstance(merged.document, dict):
        return ()
    if theirs is None:
        times = max((write.put_back for write in writes), default=0)
        return (*writes, Write(now, put_back=times + (merged.fate is Fate.PUT_BACK)))
    if not isinstance(base, dict):
        return tuple(writes)
    known = canonical(base)
    before = {name: _reading(base, known, name, value) for name, value in ours.items()}
    changed = {
        name: value
        for name, value in before.items()
        if value is not _ABSENT and value != ours[name] and name not in merged.followed
    }
    return (*writes, Write(now, changed)) if changed else tuple(writes)


def agrees(document: Json, ours: Json, canonical: Canonical) -> bool:
    """Tell whether a document says what our tables say, whatever the spelling."""
    found = canonical(document)
    return all(_reading(document, found, name, value) == value for name, value in ours.items())


def _strangers(base: object, ours: Json) -> Json:
    """Return the keys of others that an entry had."""
    return {name: value for name, value in base.items() if name not in ours} if isinstance(base, dict) else {}
