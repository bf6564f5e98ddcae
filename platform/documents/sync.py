"""Bring one document into step with our tables, both ways: a function for each kind of document.

The first try assumes that nobody has written since we last did and asks the store to refuse if that
is wrong (`If-Match`): most of the time, publishing is one query and one PUT. Only when it is refused
the document is read and merged. A write of ours that landed although its answer was lost shows then,
too: the document is what we wrote, byte for byte.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from bucket.base import Conflict, Missing
from core.text import storable

from .document_writer import CONFLICTS_BEFORE_GIVING_UP, DocumentWriter, Sent
from .merge import (
    Fate,
    Json,
    Merged,
    MergedEntry,
    Write,
    after_sending,
    may_come_back,
    merge_entry,
    merge_fields,
    unseen,
    writes_after,
)
from .models import Document, PublishedEntry
from .projections import (
    Edit,
    EntriesProjection,
    FieldsProjection,
    News,
    Projection,
    StreamProjection,
    Unusable,
)
from .serialise import (
    digest_entry,
    entry_name,
    format_document,
    format_entry,
    format_writes,
    join_entries,
    parse_document,
    parse_entry,
    parse_writes,
)

logger = structlog.get_logger(__name__)

MANY = 500  # above this, rows are read all at once and not by name


def synchronise(projection: Projection, writer: DocumentWriter) -> None:
    """Bring a document into step. Raises `BucketError`, `UnreadableDocument`, `LostLease`."""
    with writer.kept():
        if isinstance(projection, FieldsProjection):
            _synchronise_fields(projection, writer)
        elif isinstance(projection, EntriesProjection):
            _synchronise_entries(projection, writer)
        else:
            assert isinstance(projection, StreamProjection)
            _synchronise_stream(projection, writer)


def _synchronise_fields(projection: FieldsProjection, writer: DocumentWriter) -> None:
    body = b""
    for number in range(CONFLICTS_BEFORE_GIVING_UP):
        waiting, row = writer.waiting(), writer.row()
        known = parse_document(row.base.encode()) if row.base else None
        landed = False
        etag: str | None = row.etag
        if number == 0 and row.etag and known is not None and not row.sent and not writer.look:
            theirs = known
        else:
            stored, found = writer.read()
            etag = stored.etag if stored else None
            theirs = found if found is not None else known or {}
            known = _settled(known, theirs, row.sent, "")
            landed = stored is not None and stored.body == body
        ours = projection.render()
        merged = merge_fields(
            base=theirs if writer.repair else known,
            ours=ours,
            theirs=theirs,
            canonical=projection.canonical,
            ownership=projection.ownership,
        )
        wrote = landed
        if etag is None or merged.document != theirs:
            body, wrote = format_document(merged.document), True
            sent: Sent = {"": _digests(merged.document)}
            if (etag := writer.put(body, if_match=etag, sent=sent)) is None:
                continue
        writer.record(
            etag=etag,
            wrote=wrote,
            done=waiting,
            remember=lambda merged=merged: _remember_fields(projection, writer, merged),  # type: ignore[misc]
            base=format_document(merged.document).decode(),
            accepted=True,
        )
        return
    raise writer.gave_up()


def _settled(known: Any, theirs: Any, sent: str, entry: str) -> Any:
    """Return what we know of an object, now that we see whether what we sent has landed."""
    told: Sent = json.loads(sent) if sent else {}
    if entry not in told:
        return known
    return after_sending(base=known, theirs=theirs, sent=told[entry], digest=_digest)


def _digests(document: Any) -> dict[str, str]:
    return {name: _digest(value) for name, value in document.items()}


def _digest(value: Any) -> str:
    return digest_entry(value)[:16]


def _remember_fields(projection: FieldsProjection, writer: DocumentWriter, merged: Merged) -> None:
    writer.note_overruled("", merged.overruled)
    if merged.taken:
        projection.take(merged.taken)


@dataclass
class _MergePlan:
    """What becomes of the entries that somebody has touched, and how they stood in the document."""

    merged: dict[str, MergedEntry] = field(default_factory=dict)
    ours: dict[str, Json] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, PublishedEntry] = field(default_factory=dict)  # by token, as we last knew them
    writes: dict[str, tuple[Write, ...]] = field(default_factory=dict)  # of ours, this one among them

    def sent(self) -> Sent:
        """Return digests of the entries that have to be written; empty when the document is right."""
        return {
            token: _digests(merged.document) if isinstance(merged.document, dict) else None
            for token, merged in self.merged.items()
            if merged.document != self.theirs.get(token)
        }

    def news(self) -> News:
        news = News()
        for token, merged in self.merged.items():
            if merged.fate is Fate.EXTERNAL and self._is_new(token, merged.document):
                news.brought[token] = merged.document
            elif merged.fate is Fate.VANISHED:
                news.vanished[token] = self.ours[token]
            elif merged.taken:
                news.edited[token] = Edit(merged.taken, self.ours[token], merged.document)
        return news

    def _is_new(self, token: str, entry: Any) -> bool:
        return token not in self.rows or self.rows[token].digest != digest_entry(entry)


def _synchronise_entries(projection: EntriesProjection, writer: DocumentWriter) -> None:
    body = b""
    for number in range(CONFLICTS_BEFORE_GIVING_UP):
        waiting, row = writer.waiting(), writer.row()
        everything = writer.repair or row.published_at is None
        if writer.look and not waiting and not everything and writer.store.head(writer.key) == row.etag:
            return
        etag: str | None = row.etag
        theirs: Json | None = None
        landed = False
        if number or writer.look or everything or not row.etag or row.sent:
            stored, theirs = writer.read()
            etag = stored.etag if stored else None
            landed = stored is not None and stored.body == body
            if row.sent and theirs is not None:
                _settle_entries(writer, row.sent, theirs)
        touched = None if everything else {entry for entry in waiting.values() if entry}
        plan = _plan(projection, touched=touched, theirs=theirs, repair=writer.repair, now=timezone.now())
        wrote, sent = landed, plan.sent()
        if etag is None or sent:
            body, wrote = _assemble(writer.key, plan), True
            if (etag := writer.put(body, if_match=etag, sent=sent)) is None:
                continue
        news = _news(projection, plan)
        writer.record(
            etag=etag,
            wrote=wrote,
            done=waiting,
            remember=lambda plan=plan, news=news: _remember_entries(projection, writer, plan, news),  # type: ignore[misc]
            accepted=True,
        )
        return
    raise writer.gave_up()


def _settle_entries(writer: DocumentWriter, sent: str, theirs: Json) -> None:
    """Know the entries that a write of ours has left in the document, although we did not see it land."""
    told: Sent = json.loads(sent)
    rows = _rows(writer.key, told.keys())
    gone, kept = [], []
    for token in told:
        row = rows.get(token)
        known = parse_entry(row.text)[1] if row else None
        settled = _settled(known, theirs.get(token), sent, token)
        if settled is None and row is not None:
            gone.append(row.name)
        elif settled != known:
            writes = unseen(parse_writes(row.writes) if row else [], now=timezone.now())
            writes = (*writes, Write(timezone.now(), _differences(known, settled)))
            kept.append(_row(writer.key, token, settled, writes=writes))
    with transaction.atomic():
        writer.keep_writing(sent="")
        _delete_rows(writer.key, gone)
        _write_rows(kept)


def _differences(known: Any, settled: Any) -> Json | None:
    """Return what fields said that a write of ours has changed; None when it made the entry."""
    if not (isinstance(known, dict) and isinstance(settled, dict)):
        return None
    return {name: value for name, value in known.items() if name in settled and settled[name] != value}


def _plan(
    projection: EntriesProjection,
    *,
    touched: set[str] | None,
    theirs: Json | None,
    repair: bool,
    now: datetime,
) -> _MergePlan:
    """Merge the entries that we changed (`touched`; None: all) with those that others changed.

    `theirs` is the document as it was read; None: as we last knew it. Raises `BucketError`.
    """
    key, plan = projection.key, _MergePlan()
    changed = _changed_by_others(key, theirs) if theirs is not None else set()
    if touched is None:
        plan.ours = projection.render(None)
        touched = {*plan.ours, *_names_of_ours(key)}
    else:
        plan.ours = projection.render({token for token in touched | changed if entry_name(token) == token})
    tokens = touched | changed
    plan.rows = _rows(key, tokens)
    for token in tokens:
        row = plan.rows.get(token)
        known = parse_entry(row.text)[1] if row else None
        found = known if theirs is None else theirs.get(token)
        ours = plan.ours.get(token)
        if found is not None:
            plan.theirs[token] = found
        writes = unseen(parse_writes(row.writes) if row else [], now=now)
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
    return plan


def _news(projection: EntriesProjection, plan: _MergePlan) -> News:
    """Return what others did; the files of what comes back are looked for here, ahead of any transaction."""
    news = plan.news()
    return replace(news, without_files=projection.without_files(news.brought)) if news.brought else news


def _changed_by_others(key: str, theirs: Json) -> set[str]:
    """Return the tokens whose entries differ from what we last knew: new, changed and vanished ones."""
    known = dict(PublishedEntry.objects.filter(document=key).values_list("name", "digest"))
    changed = set()
    for token, entry in theirs.items():
        if known.pop(entry_name(token), None) != digest_entry(entry):
            changed.add(token)
    return changed | _tokens(key, known)


def _tokens(key: str, names: Iterable[str]) -> set[str]:
    """Return the tokens behind rows' names."""
    unusual = [name for name in names if name.startswith("#")]
    texts = PublishedEntry.objects.filter(document=key, name__in=unusual).values_list("text", flat=True)
    return {name for name in names if not name.startswith("#")} | {parse_entry(text)[0] for text in texts}


def _names_of_ours(key: str) -> Iterable[str]:
    return PublishedEntry.objects.filter(document=key, problem="").values_list("name", flat=True)


def _rows(key: str, tokens: Collection[str]) -> dict[str, PublishedEntry]:
    names = {entry_name(token): token for token in tokens}
    rows = PublishedEntry.objects.filter(document=key)
    if len(names) <= MANY:
        rows = rows.filter(name__in=names)
    return {names[row.name]: row for row in rows.iterator() if row.name in names}


def _assemble(key: str, plan: _MergePlan) -> bytes:
    """Return the whole document: what nobody touched as it was, the rest as it was merged."""
    changed = {
        entry_name(token): None if merged.document is None else format_entry(token, merged.document)
        for token, merged in plan.merged.items()
    }
    return join_entries(_texts(key, changed))


def _texts(key: str, changed: dict[str, str | None]) -> Iterator[str]:
    """Yield the entries' texts in their order, new ones last; None stands for one that goes."""
    rows = PublishedEntry.objects.filter(document=key).order_by("id")
    for name, known in rows.values_list("name", "text"):
        text = changed.pop(name, known)
        if text is not None:
            yield text
    yield from (text for text in changed.values() if text is not None)


def _remember_entries(
    projection: EntriesProjection, writer: DocumentWriter, plan: _MergePlan, news: News
) -> Collection[str]:
    """Keep the entries as they are in the document now, and follow what others did to it."""
    problems = projection.take(news) if news != News() else {}
    gone, kept = [], []
    for token, merged in plan.merged.items():
        writer.note_overruled(token, merged.overruled)
        if merged.fate is Fate.PUT_BACK:
            logger.warning("document.entry_put_back", document=writer.key)
        if merged.document is None:
            gone.append(entry_name(token))
        elif row := _row_to_keep(writer.key, token, plan, problems.get(token)):
            kept.append(row)
    _delete_rows(writer.key, gone)
    _write_rows(kept)
    followed = {token for token, problem in problems.items() if not problem}
    return followed | news.edited.keys() | news.vanished.keys()


def _row_to_keep(key: str, token: str, plan: _MergePlan, problem: str | None) -> PublishedEntry | None:
    """Return the entry's row as it has to be; None when it is that already."""
    merged, row, writes = plan.merged[token], plan.rows.get(token), plan.writes[token]
    if problem is None:
        problem = row.problem if row and merged.fate is Fate.EXTERNAL else ""
    found = _row(key, token, merged.document, problem, writes=writes)
    if row is not None and (row.digest, row.problem, row.writes) == (found.digest, problem, found.writes):
        return None
    return found


def _row(
    key: str, token: str, entry: Any, problem: str = "", *, writes: Iterable[Write] = ()
) -> PublishedEntry:
    return PublishedEntry(
        document=key,
        name=entry_name(token),
        text=format_entry(token, entry),
        digest=digest_entry(entry),
        problem=storable(problem),
        writes=format_writes(writes),
    )


def _write_rows(rows: list[PublishedEntry]) -> None:
    PublishedEntry.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["document", "name"],
        update_fields=["text", "digest", "problem", "writes"],
        batch_size=MANY,
    )


def _delete_rows(key: str, names: list[str]) -> None:
    for start in range(0, len(names), MANY):
        PublishedEntry.objects.filter(document=key, name__in=names[start : start + MANY]).delete()


def _synchronise_stream(projection: StreamProjection, writer: DocumentWriter) -> None:
    for _ in range(CONFLICTS_BEFORE_GIVING_UP):
        waiting, row = writer.waiting(), writer.row()
        wanted, found = projection.version(), writer.store.head(writer.key)
        try:
            if found is not None and found != row.etag:
                if _import_document(projection, writer, found):
                    continue
                if wanted is None:
                    writer.record(etag="", wrote=False, done=waiting, base="")
                    return
                writer.set_aside()
            etag, wrote = _bring_about(projection, writer, row, wanted=wanted, found=found)
        except Conflict:
            continue
        writer.record(etag=etag, wrote=wrote, done=waiting, base=wanted or "", accepted=True)
        return
    raise writer.gave_up()


def _import_document(projection: StreamProjection, writer: DocumentWriter, etag: str) -> bool:
    """Take in a document that is not ours; says whether it was, and is gone. Raises `Conflict`."""
    if writer.row().rejected_etag == etag:
        return False
    try:
        with writer.store.open(writer.key) as source:
            projection.import_document(source, etag=etag)
    except Missing:
        return True
    except Unusable as error:
        writer.reject(etag, str(error))
        return False
    writer.store.delete(writer.key, if_match=etag)
    return True


def _bring_about(
    projection: StreamProjection,
    writer: DocumentWriter,
    row: Document,
    *,
    wanted: str | None,
    found: str | None,
) -> tuple[str, bool]:
    """Write or remove the document, whichever is due; returns its ETag and whether that was needed."""
    if wanted is not None:
        if found is not None and found == row.etag and row.base == wanted:
            return found, False
        return writer.store.put_stream(writer.key, projection.chunks(wanted), if_match=found), True
    if found is not None:
        writer.store.delete(writer.key, if_match=found)
    return "", found is not None
