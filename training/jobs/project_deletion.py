"""How the data of a deleted project goes: its uploads that nobody else uses, its files in the bucket, its rows.

It goes last: as long as a version of the project waits for the clean-up, which cleanup.json can stop, everything stays.
Files go before rows, so that what a crash interrupts is found again.
"""

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from bucket.factory import get_bucket
from control.selectors import is_halted
from core.periodic import for_each
from models_registry.models import Project, RegisteredModel

from ..datasets.models import Dataset
from ..examples.files import folder_of
from ..examples.models import Edit, Example, FeatureFile, Findings, Revision
from .models import TrainingJob

logger = structlog.get_logger(__name__)

SWEPT_AT_ONCE = 100  # projects


def sweep_deleted_projects() -> int:
    """Delete the data of projects that are gone for good: a periodic task. Returns of how many, none while halted.

    Raises `SomeFailed`.
    """
    if is_halted():
        return 0
    return for_each(list(_due().order_by("?").values_list("pk", flat=True)[:SWEPT_AT_ONCE]), _sweep)


def _due() -> QuerySet[Project]:
    """Return deleted projects with data, of which nothing can be restored and nothing is being trained."""
    versions = RegisteredModel.objects.filter(project=OuterRef("pk"))
    kept = versions.exclude(state=RegisteredModel.State.DELETED)
    running = TrainingJob.objects.unfinished().filter(project=OuterRef("pk"))
    has_data = Q()
    for kind in (Revision, Example, Findings, FeatureFile):
        has_data |= Q(Exists(kind.objects.filter(project=OuterRef("pk"))))
    return Project.objects.filter(~Exists(kept), ~Exists(running), has_data, deleted_at__isnull=False)


@transaction.atomic
def _sweep(pk: int) -> bool:
    """Delete the data of one project; False when it is not due any more. Raises `BucketError`."""
    project = _due().select_for_update().filter(pk=pk).first()
    if project is None:
        return False
    shards = list(Example.objects.filter(project=pk).order_by().values_list("shard", flat=True).distinct())
    files = get_bucket().delete_folder(folder_of(project))
    TrainingJob.objects.filter(project=pk).update(revision=None)
    Findings.objects.filter(project=pk).delete()
    FeatureFile.objects.filter(project=pk).delete()
    Edit.objects.filter(project=pk).delete()
    Example.objects.filter(project=pk).delete()
    Revision.objects.filter(project=pk).update(parent=None)
    Revision.objects.filter(project=pk).delete()
    files += sum(map(_discard_shard, shards))
    logger.info("project.swept", project=pk, files=files)
    return True


def _discard_shard(pk: int) -> bool:
    """Delete an upload with its file, unless a job or another project uses it: then it is a data set of its own."""
    shard = Dataset.objects.select_for_update().defer("report").filter(pk=pk).first()
    if shard is None or shard.jobs.exists() or shard.project_examples.exists():
        return False
    get_bucket().delete(shard.key)
    shard.delete()
    return True
