"""Where the bucket's documents differ from the database, and how to mend it."""

import json
from dataclasses import dataclass

from pydantic import ValidationError

from . import projections
from .merge import Json
from .models import Document, OutboxEntry
from .projections import EntriesProjection, FieldsProjection, StreamProjection
from .publish import Outcome, publish
from .store import DocumentStore, get_store


@dataclass(frozen=True)
class Drift:
    """What is wrong with one document; nothing for a document in step."""

    key: str
    problems: tuple[str, ...]


def check_documents() -> list[Drift]:
    """Compare every document with the database. Raises `BucketError` when the bucket is away."""
    store = get_store()
    return [
        Drift(projection.key, tuple(_problems(projection, store))) for projection in projections.registered()
    ]


def repair_documents() -> dict[str, str]:
    """Publish every document anew; an unreadable one (a copy of it is kept) is replaced."""
    store, outcomes = get_store(), {}
    for projection in projections.registered():
        outcome = publish(projection.key, force=True)
        if outcome is Outcome.FAILED and _read(projection.key, store) is None:
            store.delete(projection.key)
            outcome = publish(projection.key, force=True)
        if isinstance(projection, EntriesProjection) and outcome is Outcome.CLEAN:
            OutboxEntry.objects.bulk_create(
                OutboxEntry(document=projection.key, entry=token)
                for token in _wrong_entries(projection, store)
            )
            outcome = publish(projection.key)
        outcomes[projection.key] = outcome.value
    return outcomes


def _problems(projection: projections.Projection, store: DocumentStore) -> list[str]:
    waiting = OutboxEntry.objects.filter(document=projection.key).count()
    problems = [f"{waiting} changes are not published yet"] if waiting else []
    if isinstance(projection, StreamProjection):
        published = Document.objects.filter(key=projection.key).values_list("base", flat=True).first() or {}
        if published.get("version") != projection.version():
            problems.append("does not show the job that is running")
        return problems
    document = _read(projection.key, store)
    if document is None:
        return [*problems, "is missing or not a JSON object"]
    try:
        projection.schema.model_validate(document)
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    if isinstance(projection, FieldsProjection):
        problems += [
            f"{name} is {document.get(name)!r}, the database has {value!r}"
            for name, value in projection.render().items()
            if document.get(name) != value
        ]
    if isinstance(projection, EntriesProjection):
        problems += [f"{token} differs from the database" for token in _wrong_entries(projection, store)]
    return problems


def _wrong_entries(projection: EntriesProjection, store: DocumentStore) -> list[str]:
    document = _read(projection.key, store) or {}
    return [
        token
        for token, entry in projection.render(None).items()
        if not isinstance(document.get(token), dict)
        or any(document[token].get(name) != value for name, value in entry.items())
    ]


def _read(key: str, store: DocumentStore) -> Json | None:
    stored = store.get(key)
    try:
        document = json.loads(stored.body) if stored else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
