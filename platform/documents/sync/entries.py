"""The document of many entries: inference.json."""

import json
from collections.abc import Collection
from dataclasses import replace
from functools import partial

import structlog
from django.db import transaction
from django.utils import timezone

from ..document_writer import CONFLICTS_BEFORE_GIVING_UP, DocumentWriter, Sent
from ..merge import Fate, Json, Write, unseen
from ..models import Document, PublishedEntry
from ..projections import EntriesProjection, News
from ..serialise import entry_name
from .entry_rows import delete_rows, known_entry, known_writes, make_row, read_rows, write_rows
from .plan import MergePlan, assemble, make_plan
from .sent import settled

logger = structlog.get_logger(__name__)


def synchronise_entries(projection: EntriesProjection, writer: DocumentWriter) -> None:
    """Merge the entries that either side changed, write the document where it has to change, follow the others."""
    body = b""
    for attempt in range(CONFLICTS_BEFORE_GIVING_UP):
        waiting, row = writer.waiting(), writer.row()
        everything = writer.repair or row.published_at is None
        if writer.look and not waiting and not everything and writer.bucket.head(writer.key) == row.etag:
            return
        etag: str | None = row.etag
        theirs: Json | None = None
        wrote = False
        if attempt or writer.look or everything or not row.etag or row.sent:
            etag, theirs, wrote = _read(writer, row, body)
        touched = None if everything else {entry for entry in waiting.values() if entry}
        plan = make_plan(projection, touched=touched, theirs=theirs, repair=writer.repair, now=timezone.now())
        sent = plan.sent()
        if etag is None or sent:
            body, wrote = assemble(writer.key, plan), True
            etag = writer.put(body, if_match=etag, sent=sent)
            if etag is None:
                continue
        remember = partial(_remember, projection, writer, plan, _news(projection, plan))
        writer.record(etag=etag, wrote=wrote, done=waiting, remember=remember, accepted=True)
        return
    raise writer.gave_up()


def _read(writer: DocumentWriter, row: Document, body: bytes) -> tuple[str | None, Json | None, bool]:
    """Read the document; returns its ETag, its entries, and whether it is what we sent last (`body`)."""
    stored, theirs = writer.read()
    if row.sent and theirs is not None:
        _settle(writer, row.sent, theirs)
    if stored is None:
        return None, theirs, False
    return stored.etag, theirs, stored.body == body


def _settle(writer: DocumentWriter, sent: str, theirs: Json) -> None:
    """Update the base with the entries of an earlier write whose answer was lost, where they are in the document."""
    tokens: Sent = json.loads(sent)
    rows = read_rows(writer.key, tokens.keys())
    gone, kept = [], []
    for token in tokens:
        row = rows.get(token)
        known = known_entry(row)
        found = settled(known, theirs.get(token), sent, token)
        if found is None and row is not None:
            gone.append(row.name)
        elif found != known:
            writes = unseen(known_writes(row), now=timezone.now())
            writes = (*writes, Write(timezone.now(), _differences(known, found)))
            kept.append(make_row(writer.key, token, found, writes=writes))
    with transaction.atomic():
        writer.keep_writing(sent="")
        delete_rows(writer.key, gone)
        write_rows(kept)


def _differences(known: object, settled: object) -> Json | None:
    """Return what fields said that a write of ours has changed; None when it made the entry."""
    if not (isinstance(known, dict) and isinstance(settled, dict)):
        return None
    return {name: value for name, value in known.items() if name in settled and settled[name] != value}


def _news(projection: EntriesProjection, plan: MergePlan) -> News:
    """Return what others did; the files of what comes back are looked for here, ahead of any transaction."""
    news = plan.news()
    return replace(news, without_files=projection.without_files(news.brought)) if news.brought else news


def _remember(
    projection: EntriesProjection, writer: DocumentWriter, plan: MergePlan, news: News
) -> Collection[str]:
    """Keep the entries as they are in the document now, and follow what others did to it."""
    problems = projection.follow(news) if news != News() else {}
    gone, kept = [], []
    for token, merged in plan.merged.items():
        writer.note_overruled(token, merged.overruled)
        if merged.fate is Fate.PUT_BACK:
            logger.warning("document.entry_put_back", document=writer.key)
        if merged.document is None:
            gone.append(entry_name(token))
        elif row := _row_to_keep(writer.key, token, plan, problems.get(token)):
            kept.append(row)
    delete_rows(writer.key, gone)
    write_rows(kept)
    followed = {token for token, problem in problems.items() if not problem}
    return followed | news.edited.keys() | news.vanished.keys()


def _row_to_keep(key: str, token: str, plan: MergePlan, problem: str | None) -> PublishedEntry | None:
    """Return the entry's row as it has to be; None when it is that already."""
    merged, row, writes = plan.merged[token], plan.rows.get(token), plan.writes[token]
    if problem is None:
        problem = row.problem if row and merged.fate is Fate.EXTERNAL else ""
    found = make_row(key, token, merged.document, problem, writes=writes)
    if row is not None and (row.digest, row.problem, row.writes) == (found.digest, problem, found.writes):
        return None
    return found
