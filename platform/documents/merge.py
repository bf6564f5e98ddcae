"""How our view and the document in the bucket become one. Pure functions of plain data.

Whatever the platform does not own survives: keys it does not know, entries it did not write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Merged:
    """The document to write, and the fields in which an operator's edit was taken over."""

    document: Json
    taken: Json = field(default_factory=dict)


def merge_fields(
    *, base: Mapping[str, Any], ours: Json, theirs: Json | None, operator: frozenset[str]
) -> Merged:
    """Merge a document of fixed fields, three-way.

    `base` is what we last wrote; empty when we never did. In an `operator` field an edit of the
    document wins over ours, whether or not ours changed as well; in every other field we win.
    """
    theirs = theirs or {}
    taken = {
        name: theirs[name]
        for name in operator
        if name in theirs and theirs[name] != base.get(name) and theirs[name] != ours[name]
    }
    return Merged({**theirs, **ours, **taken}, taken)


def merge_entries(*, ours: Mapping[str, Json | None], theirs: Json | None) -> Merged:
    """Merge a document of entries by token: `ours` names the changed ones, None for a removed one.

    Entries that `ours` does not name, and keys within an entry that we do not write, stay.
    """
    document = dict(theirs or {})
    for token, entry in ours.items():
        if entry is None:
            document.pop(token, None)
        else:
            known = document.get(token)
            document[token] = {**(known if isinstance(known, dict) else {}), **entry}
    return Merged(document)
