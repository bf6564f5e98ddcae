"""What trainings saw, taken over into the rows of the examples: the first training of a project lists them."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from bucket.files import download
from core.periodic import for_each
from models_registry.models import Project, RegisteredModel

from ..datasets.models import Dataset
from ..engine.data.manifest import Manifest, count_parts
from ..engine.seen_examples import read_seen_examples_in_pieces
from .edits import lock
from .models import Example, Findings, Revision
from .revisions import newest_revision, part_of

logger = structlog.get_logger(__name__)

AT_ONCE = 2_000  # examples in memory, and rows of one statement
# By a process that takes it over, with each piece anew: long enough for a download, or the wait for who else writes.
HELD_FOR = timedelta(minutes=5)
LOOKED_AT_WITHIN = timedelta(minutes=30)  # the data of a version, after it went live
FIRST = "As it was uploaded"


@dataclass(frozen=True)
class StoredFindings:
    """A file of findings that lies in the bucket and was checked there."""

    key: str
    size: int
    sha256: str


def record_listing(
    *,
    model: RegisteredModel,
    dataset: Dataset,
    revision: Revision | None,
    file: StoredFindings,
    counts: Mapping[str, int],
) -> Revision | None:
    """Note which examples a training has learnt from, in the transaction that makes its model live.

    What is thought of them is still to come. Those of a project's first training are its first revision, which is
    returned; else the revision that was trained on.
    """
    project = model.project
    lock(project)
    if revision is None and newest_revision(project) is None:
        revision = Revision.objects.create(
            project=project,
            number=1,
            **vars(file),
            examples=sum(counts.values()) - counts.get("excluded", 0),
            counts=dict(counts),
            author_id=project.owner_id,
            summary=FIRST,
        )
    Findings.objects.create(
        project=project, model=model, dataset=dataset, revision=revision, awaited=True, **vars(file)
    )
    return revision


@transaction.atomic
def record_findings(
    *,
    model: RegisteredModel,
    dataset: Dataset,
    revision: Revision | None,
    file: StoredFindings,
    naive_accuracy: float | None = None,
) -> None:
    """Note what the training of a live model has found in its data, in the place of the mere list of them."""
    noted = {"project": model.project, "dataset": dataset, **vars(file), "awaited": False}
    noted |= {"applied_at": None, "held_until": None}
    if revision is not None:
        noted["revision"] = revision
    Findings.objects.update_or_create(model=model, defaults=noted)
    if naive_accuracy is not None:
        row = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        metrics = {**row.metrics, "naive_accuracy": naive_accuracy}
        RegisteredModel.objects.filter(pk=row.pk).update(metrics=metrics)


def are_awaited(project: Project) -> bool:
    """Tell whether what the newest training has found in its data is still to come."""
    newest = Findings.objects.filter(project=project).first()
    if newest is None or timezone.now() - newest.created_at > LOOKED_AT_WITHIN:
        return False
    return newest.awaited or newest.applied_at is None


def apply_waiting(model: RegisteredModel | None = None) -> int:
    """Take over what trainings saw and no row has yet, or one model's: a periodic task. Raises `SomeFailed`."""
    waiting = Findings.objects.filter(applied_at=None).order_by("id")
    if model is not None:
        waiting = waiting.filter(model=model)
    return for_each(list(waiting.values_list("pk", flat=True)), apply_findings)


def apply_findings(pk: int) -> bool:
    """Take over one file; False when that has been done or another process is at it.

    Doing it twice, or once more from the middle, changes nothing. A transaction takes over some examples only: on
    SQLite nobody else can write meanwhile, and a million take minutes. Raises `BucketError`.
    """
    free = Q(held_until=None) | Q(held_until__lt=timezone.now())
    if not _hold(Findings.objects.filter(free, pk=pk)):
        return False
    findings = Findings.objects.select_related("project", "dataset").get(pk=pk)
    same = Findings.objects.filter(pk=pk, key=findings.key)
    try:
        changed = _apply(findings, same)
    except BaseException:
        same.update(held_until=None)
        raise
    if changed is None or not same.update(applied_at=timezone.now(), held_until=None):
        return False
    logger.info("findings.applied", project=findings.project_id, model=findings.model_id, examples=changed)
    return True


def _apply(findings: Findings, same: QuerySet[Findings]) -> int | None:
    """Take over what is in the file; None when another one has come in its place, or it has been taken over."""
    changed = 0
    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder, "examples.parquet")
        download(findings.key, path, sha256=findings.sha256, limit=findings.size)
        for manifest, further in read_seen_examples_in_pieces(path, AT_ONCE):
            with transaction.atomic():
                lock(findings.project)
                if not _hold(same):
                    return None
                changed += _take_over(findings, manifest, further)
    return changed


def _hold(findings: QuerySet[Findings]) -> bool:
    """Keep other processes from taking over the same at the same time; False when there is nothing to take over."""
    until = timezone.now() + HELD_FOR
    return bool(findings.filter(applied_at=None).update(held_until=until))


def _take_over(findings: Findings, manifest: Manifest, further: Mapping[str, Sequence[Any]]) -> int:
    """List the examples that are not, and let the others have what is thought of them; returns how many changed.

    A mere list leaves others what an earlier model thought of them, and so does a file when a newer one is there.
    """
    shards = list(Dataset.objects.filter(sha256__in=set(manifest.shards)).values_list("pk", flat=True))
    rows = Example.objects.filter(project=findings.project_id, shard__in=shards, place__in=manifest.places)
    known = set(rows.order_by().values_list("shard__sha256", "place"))
    keys = enumerate(zip(manifest.shards, manifest.places, strict=True))
    own = findings.dataset.sha256  # what was added to a project is listed when it is added
    missing = [row for row, key in keys if key not in known and key[0] == own]
    Example.objects.bulk_create(_examples(findings, manifest, further, missing))
    newer = Findings.objects.filter(project=findings.project_id, pk__gt=findings.pk, awaited=False)
    if not known or findings.awaited or newer.exists():
        return len(missing)
    return len(missing) + _update(rows, manifest, further)


def _examples(
    findings: Findings, manifest: Manifest, further: Mapping[str, Sequence[Any]], rows: Sequence[int]
) -> Iterator[Example]:
    nothing = (None,) * len(manifest)
    columns = {name: further.get(name, nothing) for name in FURTHER}
    for row in rows:
        yield Example(
            project_id=findings.project_id,
            shard_id=findings.dataset_id,
            place=manifest.places[row],
            sha256=manifest.digests[row],
            label=manifest.labels[row],
            split=manifest.splits[row],
            source=manifest.sources[row],
            group=manifest.groups[row],
            excluded=bool(manifest.excluded[row]),
            confirmed=bool(manifest.confirmed[row]),
            text=columns["text"][row] or "",
            offset=columns["offset"][row],
            packed=columns["packed"][row],
            method=columns["method"][row],
            given=columns["given"][row],
            suggested=columns["suggested"][row] or "",
            likely=columns["likely"][row],
            doubt=columns["doubt"][row],
            near_copy_of=columns["near_copy_of"][row] or "",
            likeness=columns["likeness"][row],
            oddness=columns["oddness"][row],
        )


OPINIONS = ("given", "suggested", "likely", "doubt", "near_copy_of", "likeness", "oddness")
FURTHER = ("text", "offset", "packed", "method", *OPINIONS)
WORDS = ("suggested", "near_copy_of")  # that are never null in a row


def _update(rows: QuerySet[Example], manifest: Manifest, further: Mapping[str, Sequence[Any]]) -> int:
    """Let rows have the opinions of the project's newest model, and the parts in which it placed new ones.

    An example that somebody relabelled while the model was trained keeps what was thought of it before.
    """
    nothing = (None,) * len(manifest)
    columns = [further.get(name, nothing) for name in OPINIONS]
    row_of = {key: row for row, key in enumerate(zip(manifest.shards, manifest.places, strict=True))}
    found = rows.order_by().values_list("pk", "shard__sha256", "place", "label", "split", "group", *OPINIONS)
    changed = []
    for pk, shard, place, label, split, group, *before in found:
        row = row_of.get((shard, place))
        if row is None or label != manifest.labels[row]:
            continue
        placed = [split or manifest.splits[row], group or manifest.groups[row]]
        opinions = [column[row] for column in columns]
        after = [
            *placed,
            *(
                value or "" if name in WORDS else value
                for name, value in zip(OPINIONS, opinions, strict=True)
            ),
        ]
        if after != [split, group, *before]:
            changed.append((*after, pk))
    quoted = connection.ops.quote_name
    values = ", ".join(f"{quoted(name)} = %s" for name in ("split", "group", *OPINIONS))
    statement = f"UPDATE {quoted(Example._meta.db_table)} SET {values} WHERE {quoted('id')} = %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.executemany(statement, changed)
    return len(changed)


def stored_counts(path: Path) -> dict[str, int]:
    """Return how many examples of each part a file of findings lists."""
    counts = Counter[str]()
    for (split, is_excluded), count in count_parts(path).items():
        counts[part_of(split, is_excluded)] += count
    return dict(counts)
