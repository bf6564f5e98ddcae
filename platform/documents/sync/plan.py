"""What becomes of the entries of a document: those that we changed, merged with those that others changed."""

from dataclasses import dataclass, field
from datetime import datetime

from ..document_writer import Sent
from ..merge import Fate, Json, MergedEntry, Write, may_come_back, merge_entry, unseen, writes_after
from ..models import PublishedEntry
from ..projections import Edit, EntriesProjection, News
from ..serialise import digest_entry, entry_name, format_entry, join_entries
from .entry_rows import changed_by_others, known_entry, known_writes, names_of_ours, read_rows, read_texts
from .sent import digest_fields


@dataclass
class MergePlan:
    """What becomes of the entries that either side has touched, and how they stood in the document."""

    merged: dict[str, MergedEntry] = field(default_factory=dict)
    ours: dict[str, Json] = field(default_factory=dict)
    theirs: Json = field(default_factory=dict)
    rows: dict[str, PublishedEntry] = field(default_factory=dict)  # by token, as we last knew them
    writes: dict[str, tuple[Write, ...]] = field(default_factory=dict)  # of ours, this one among them

    def sent(self) -> Sent:
        """Return digests of the entries that have to be written; empty when nothing has to."""
        return {
            token: digest_fields(merged.document) if isinstance(merged.document, dict) else None
            for token, merged in self.merged.items()
            if merged.document != self.theirs.get(token)
        }

    def news(self) -> News:
        """Return what others did."""
        news = News()
        for token, merged in self.merged.items():
            if merged.fate is Fate.EXTERNAL and self._is_new(token, merged.document):
                news.brought[token] = merged.document
            elif merged.fate is Fate.VANISHED:
                news.vanished[token] = self.ours[token]
            elif merged.followed:
                news.edited[token] = Edit(merged.followed, self.ours[token], merged.document)
        return news

    def _is_new(self, token: str, entry: object) -> bool:
        return token not in self.rows or self.rows[token].digest != digest_entry(entry)


def make_plan(
    projection: EntriesProjection,
    *,
    touched: set[str] | None,
    theirs: Json | None,
    repair: bool,
    now: datetime,
) -> MergePlan:
    """Merge the entries that we changed (`touched`; None: all) with those that others changed.

    `theirs` is the document as it was read; None: as we last knew it. Raises `BucketError`.
    """
    key, plan = projection.key, MergePlan()
    changed = changed_by_others(key, theirs) if theirs is not None else set()
    if touched is None:
        plan.ours = projection.render(None)
        touched = {*plan.ours, *names_of_ours(key)}
    else:
        plan.ours = projection.render({token for token in touched | changed if entry_name(token) == token})
    tokens = touched | changed
    plan.rows = read_rows(key, tokens)
    for token in tokens:
        known = known_entry(plan.rows.get(token))
        found = known if theirs is None else theirs.get(token)
        if found is not None:
            plan.theirs[token] = found
        _merge(projection, plan, token, known=known, repair=repair, now=now)
    return plan


def _merge(
    projection: EntriesProjection, plan: MergePlan, token: str, *, known: object, repair: bool, now: datetime
) -> None:
    """Note in the plan what becomes of one entry."""
    row, ours, found = plan.rows.get(token), plan.ours.get(token), plan.theirs.get(token)
    writes = unseen(known_writes(row), now=now)
    merged = plan.merged[token] = merge_entry(
        base=found if repair and ours is not None else known,
        ours=ours,
        theirs=found,
        external=bool(row and row.problem),
        canonical=projection.canonical,
        ownership=projection.ownership,
        writes=writes,
        has_files=found is None and may_come_back(writes) and projection.has_files(token),
    )
    plan.writes[token] = writes_after(
        base=known,
        ours=ours,
        theirs=found,
        merged=merged,
        canonical=projection.canonical,
        writes=writes,
        now=now,
    )


def assemble(key: str, plan: MergePlan) -> bytes:
    """Return the whole document: what neither side touched as it was, the rest as it was merged."""
    changed = {
        entry_name(token): None if merged.document is None else format_entry(token, merged.document)
        for token, merged in plan.merged.items()
    }
    return join_entries(read_texts(key, changed))
