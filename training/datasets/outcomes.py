"""The end of a validation: writes its outcome and sends `dataset_ready`."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bucket.factory import get_bucket
from work import transitions

from ..engine.data import DataReport
from .models import Dataset, DatasetValidation
from .signals import dataset_ready


def conclude(validation: DatasetValidation, report: DataReport) -> None:
    """End a validation with what was found, all or nothing. Raises `StaleAttempt`."""
    data = Dataset.objects.filter(pk=validation.dataset_id)
    found = {
        "report": report.to_json(),
        "columns": report.columns,
        "classes": list(report.classes),
        "examples": report.examples,
        "updated_at": timezone.now(),
    }
    with transaction.atomic():
        if report.problems:
            transitions.fail(validation, reason=" ".join(report.problems))
            data.update(**found)
            return
        read = report.examples + report.unreadable_count
        transitions.succeed(validation, done=read, total=read)
        data.update(state=Dataset.State.READY, **found)
        dataset_ready.send(sender=Dataset, dataset_id=validation.dataset_id)


def unswept() -> QuerySet[DatasetValidation]:
    """Return the validations of unusable data sets whose file lies in the bucket still."""
    return DatasetValidation.objects.filter(dataset__state=Dataset.State.UNUSABLE, swept=False)


def sweep(validation: DatasetValidation) -> bool:
    """Delete the file of a data set that turned out to be unusable; False when there is none.

    Raises `BucketError`.
    """
    rows = unswept().filter(pk=validation.pk)
    key = rows.values_list("dataset__key", flat=True).first()
    if key is None:
        return False
    get_bucket().delete(key)
    return bool(rows.update(swept=True))
