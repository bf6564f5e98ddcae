"""Revisions: the pending edits of a project become the next one when it is trained again."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count

from accounts.models import User
from bucket.files import upload
from core.exceptions import InvalidRequest
from models_registry.models import Project

from ..datasets.models import Dataset
from ..engine.data.manifest import TEST, Manifest, write_manifest_of
from .edits import lock_listed
from .files import revision_key
from .models import Edit, Example, Revision

logger = structlog.get_logger(__name__)

FEWEST = 2  # classes, and examples of each, that a training needs
NAMED = 3  # edits that a summary tells of
AT_ONCE = 20_000  # examples in memory


def newest_revision(project: Project) -> Revision | None:
    """Return the revision with the highest number; None before the first training has ended."""
    return Revision.objects.filter(project=project).first()


def pending_edits(project: Project) -> int:
    """Return how many edits no revision has yet."""
    return Edit.objects.filter(project=project, revision=None).count()


def next_revision(*, project: Project, author: User | None) -> Revision:
    """Return the revision that has all edits: the newest one, or a new one that is written for them.

    Raises `InvalidRequest` before the first training has told which examples there are, `BucketError`.
    """
    with transaction.atomic():
        lock_listed(project)
        parent = newest_revision(project)
        if parent is None or not Example.objects.filter(project=project).exists():
            raise InvalidRequest(
                f"The examples of {project} are not listed yet: they are when its first training has ended."
            )
        edits = Edit.objects.filter(project=project, revision=None)
        summaries = [edit.summary for edit in edits.only("summary").order_by("-number")[: NAMED + 1]]
        if not summaries:
            return parent
        more = [] if len(summaries) <= NAMED else ["and more"]
        summary = "; ".join(summaries[:NAMED] + more)
        revision = write_revision(
            project, manifest_of_project(project), author=author, parent=parent, summary=summary
        )
        edits.update(revision=revision)
    logger.info("revision.written", project=project.pk, number=revision.number, examples=revision.examples)
    return revision


def require_trainable(project: Project) -> None:
    """Raise `InvalidRequest` where so much was excluded or moved that no training could end well.

    A project whose examples are not listed yet is left to `next_revision`.
    """
    listed = Example.objects.filter(project=project)
    classes = listed.filter(excluded=False).exclude(split=TEST).order_by().values("label")
    usable = classes.annotate(count=Count("pk")).filter(count__gte=FEWEST).count()
    if usable < FEWEST and listed.exists():
        raise InvalidRequest(
            f"{usable or 'No'} {'class has' if usable == 1 else 'classes have'} two examples to learn from, and a "
            "training needs two such classes. Restore or add examples, or take changes back; the test set and what is "
            "excluded do not count."
        )


def write_revision(
    project: Project, parts: Iterable[Manifest], *, author: User | None, parent: Revision | None, summary: str
) -> Revision:
    """Put a manifest of parts into the bucket and write its row; the project is locked. Raises `BucketError`."""
    counts = Counter[str]()

    def counted() -> Iterator[Manifest]:
        for part in parts:
            counts.update(counts_of(part.splits, part.excluded.tolist()))
            yield part

    with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
        path = Path(folder, "manifest.parquet")
        write_manifest_of(path, counted())
        key = revision_key(project)
        sha256, size = upload(path, key), path.stat().st_size
    return Revision.objects.create(
        project=project,
        number=parent.number + 1 if parent else 1,
        key=key,
        size=size,
        sha256=sha256,
        examples=counts.total() - counts["excluded"],
        counts=dict(counts),
        parent=parent,
        author=author,
        summary=summary[:500],
    )


def counts_of(splits: Iterable[str], excluded: Iterable[bool]) -> dict[str, int]:
    """Return how many examples there are of each part, and how many are excluded."""
    return dict(Counter(map(part_of, splits, excluded)))


def part_of(split: str, is_excluded: bool) -> str:
    """Return what an example is counted as."""
    return "excluded" if is_excluded else split or "new"


def manifest_of_project(project: Project) -> Iterator[Manifest]:
    """Yield the examples of a project as they are now, some at a time."""
    fields = (
        "shard__sha256",
        "place",
        "sha256",
        "label",
        "split",
        "source",
        "group",
        "excluded",
        "confirmed",
    )
    rows = Example.objects.filter(project=project).order_by("id").values_list(*fields)
    found = rows.iterator(chunk_size=AT_ONCE)
    while some := list(islice(found, AT_ONCE)):
        yield Manifest.of_columns(list(zip(*some, strict=True)))


def shards_of(revision: Revision) -> list[Dataset]:
    """Return the uploads that a project's examples lie in; those of a revision are among them."""
    used = (
        Example.objects.filter(project=revision.project_id).order_by().values("shard").annotate(Count("pk"))
    )
    return list(Dataset.objects.filter(pk__in=used.values("shard")).defer("report"))
