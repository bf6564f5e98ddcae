"""The rows of a document's entries: each as we last knew it in the document, kept as the text that stands there."""

from collections.abc import Collection, Iterable, Iterator

from core.text import storable

from ..merge import Json, Write
from ..models import PublishedEntry
from ..serialise import digest_entry, entry_name, format_entry, format_writes, parse_entry, parse_writes

MANY = 500  # above this, rows are read all at once and not by name


def read_rows(key: str, tokens: Collection[str]) -> dict[str, PublishedEntry]:
    """Return the rows of entries by token."""
    names = {entry_name(token): token for token in tokens}
    rows = PublishedEntry.objects.filter(document=key)
    if len(names) <= MANY:
        rows = rows.filter(name__in=names)
    return {names[row.name]: row for row in rows.iterator() if row.name in names}


def known_entry(row: PublishedEntry | None) -> object:
    """Return the entry as we last knew it; None when there was none."""
    return parse_entry(row.text)[1] if row else None


def known_writes(row: PublishedEntry | None) -> list[Write]:
    """Return our writes of the entry that were noted with it."""
    return parse_writes(row.writes) if row else []


def changed_by_others(key: str, theirs: Json) -> set[str]:
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


def names_of_ours(key: str) -> Iterable[str]:
    """Return the names of the entries that are rows of ours."""
    return PublishedEntry.objects.filter(document=key, problem="").values_list("name", flat=True)


def read_texts(key: str, changed: dict[str, str | None]) -> Iterator[str]:
    """Yield the entries' texts in their order, new ones last; None stands for one that goes."""
    rows = PublishedEntry.objects.filter(document=key).order_by("id")
    for name, known in rows.values_list("name", "text"):
        text = changed.pop(name, known)
        if text is not None:
            yield text
    yield from (text for text in changed.values() if text is not None)


def make_row(
    key: str, token: str, entry: object, problem: str = "", *, writes: Iterable[Write] = ()
) -> PublishedEntry:
    """Return an entry as the row that is to be written."""
    return PublishedEntry(
        document=key,
        name=entry_name(token),
        text=format_entry(token, entry),
        digest=digest_entry(entry),
        problem=storable(problem),
        writes=format_writes(writes),
    )


def write_rows(rows: list[PublishedEntry]) -> None:
    """Make or replace rows, by document and name."""
    PublishedEntry.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["document", "name"],
        update_fields=["text", "digest", "problem", "writes"],
        batch_size=MANY,
    )


def delete_rows(key: str, names: list[str]) -> None:
    """Delete rows by name."""
    for start in range(0, len(names), MANY):
        PublishedEntry.objects.filter(document=key, name__in=names[start : start + MANY]).delete()
