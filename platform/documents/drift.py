"""Differences between the bucket and the database, and their repair."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bucket.base import Bucket
from bucket.factory import get_bucket

from . import projections
from .merge import Json, agrees
from .models import Document, OutboxEntry, PublishedEntry
from .projections import EntriesProjection, FieldsProjection, StreamProjection
from .publish import Outcome, publish
from .serialise import digest_entry, entry_name, parse_document

FILES = "files"
SHOWN = 20  # problems of one kind; more of them say nothing new


@dataclass(frozen=True)
class Drift:
    """The problems of one document, or of the files; none if it is in sync."""

    key: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class KnownFiles:
    """The files that our tables know below some folders of the bucket.

    `files` maps keys to sizes in bytes; whatever lies below a prefix in `working` may be there or not.
    """

    files: Mapping[str, int]
    working: tuple[str, ...] = ()


_owners: dict[str, list[Callable[[], KnownFiles]]] = {}


def register_files(folder: str, owner: Callable[[], KnownFiles]) -> None:
    """Register the function that returns the files of a folder; called in the `ready` of its app."""
    _owners.setdefault(folder, []).append(owner)


def check_documents() -> list[Drift]:
    """Compare every document, and every file, with the database. Raises `BucketError` when the bucket is away."""
    bucket = get_bucket()
    drifts = [check_document(projection.key) for projection in projections.registered()]
    return [*drifts, Drift(FILES, tuple(_shortened(list(_file_problems(bucket)))))]


def check_document(key: str) -> Drift:
    """Compare one document with the database. Raises `BucketError` when the bucket is away."""
    return Drift(key, tuple(_problems(projections.get(key), get_bucket())))


def repair_documents() -> dict[str, str]:
    """Write every document anew from the database; an unreadable one (a copy is kept) is replaced.

    Files are left as they are: one that is missing cannot be made, one that no row names may belong to another program.
    """
    return {projection.key: repair_document(projection.key).value for projection in projections.registered()}


def repair_document(key: str) -> Outcome:
    """Write one document anew from the database. Raises `BucketError` when the bucket is away."""
    outcome, bucket = publish(key, repair=True), get_bucket()
    rejected = Document.objects.get(key=key).rejected_etag
    if outcome is Outcome.FAILED and rejected and bucket.head(key) == rejected:
        bucket.delete(key, if_match=rejected)
        outcome = publish(key, repair=True)
    return outcome


def _problems(projection: projections.Projection, bucket: Bucket) -> list[str]:
    waiting = OutboxEntry.objects.filter(document=projection.key).count()
    problems = [f"{waiting} changes are not published yet"] if waiting else []
    if isinstance(projection, StreamProjection):
        return [*problems, *_stream_problems(projection, bucket)]
    try:
        stored = bucket.get(projection.key)
        document = parse_document(stored.body) if stored else None
    except ValueError as error:
        return [*problems, f"cannot be used: {error}"]
    if document is None:
        return [*problems, "is missing"]
    if isinstance(projection, FieldsProjection):
        return [*problems, *_field_problems(projection, document)]
    assert isinstance(projection, EntriesProjection)
    return [*problems, *_shortened(list(_entry_problems(projection, document)))]


def _stream_problems(projection: StreamProjection, bucket: Bucket) -> Iterator[str]:
    row = Document.objects.filter(key=projection.key).first() or Document(key=projection.key)
    found, wanted = bucket.head(projection.key), projection.version() or ""
    if found is not None and found == row.rejected_etag and not wanted:
        return  # others put it there, it was looked at, and its page says what is wrong with it
    if wanted and (row.base != wanted or found != row.etag):
        yield "does not show the job that is running"
    elif not wanted and found is not None:
        yield "is there although no job runs"


def _field_problems(projection: FieldsProjection, document: Json) -> Iterator[str]:
    for name, value in projection.render().items():
        if not agrees(document, {name: value}, projection.canonical):
            yield f"{name} is {document.get(name)!r}, the database has {value!r}"


def _entry_problems(projection: EntriesProjection, document: Json) -> Iterator[str]:
    """Compare each entry with our row of it, and with what we remember of it."""
    ours = projection.render(None)
    known = dict(PublishedEntry.objects.filter(document=projection.key).values_list("name", "digest"))
    for token, entry in ours.items():
        found = document.get(token)
        if not isinstance(found, dict) or not agrees(found, entry, projection.canonical):
            yield f"{token} {'is missing' if found is None else 'differs from the database'}"
    for token, found in document.items():
        if known.pop(entry_name(token), None) != digest_entry(found):
            yield f"{token} was changed by others and is not imported yet"
    for name in known:
        yield f"{name} was removed by others and is not imported yet"


def _file_problems(bucket: Bucket) -> Iterator[str]:
    for folder, owners in sorted(_owners.items()):
        known = [owner() for owner in owners]
        files = {key: size for some in known for key, size in some.files.items()}
        working = tuple(prefix for some in known for prefix in some.working)
        found = dict(bucket.list(folder))
        for key in sorted(files.keys() - found.keys()):
            yield f"{key} is missing"
        for key in sorted(found.keys() - files.keys()):
            if not key.startswith(working):
                yield f"{key} belongs to nothing"
        for key in sorted(files.keys() & found.keys()):
            if files[key] != found[key]:
                yield f"{key} has {found[key]:,} bytes and not {files[key]:,}"


def _shortened(problems: list[str]) -> list[str]:
    more = len(problems) - SHOWN
    return [*problems[:SHOWN], f"and {more} more"] if more > 0 else problems
