"""Deletes evaluations with what they are about: their version when the clean-up has deleted it, their project."""

from django.db.models import Q

from bucket.factory import get_bucket
from control.selectors import is_halted
from core.periodic import for_each
from models_registry.models import RegisteredModel
from work import transitions

from .models import Evaluation, LabelledFile
from .services import delete_evaluation

DELETED_AT_ONCE = 1000


def delete_stale_evaluations() -> int:
    """Delete evaluations of versions that the clean-up has deleted, and files that nobody can measure with any more.

    Returns how many rows went, none while the platform is halted.
    """
    if is_halted():
        return 0
    gone = Evaluation.objects.filter(model__state=RegisteredModel.State.DELETED).select_related(
        "project", "file"
    )
    count = for_each(gone.order_by("?")[:DELETED_AT_ONCE], _delete)
    alive = Q(project__versions__state__in=("live", "retired", "deleting"))
    useless = LabelledFile.objects.exclude(pk__in=LabelledFile.objects.filter(alive).values("pk"))
    return count + for_each(useless.filter(evaluations=None)[:DELETED_AT_ONCE], _delete_file)


def _delete(evaluation: Evaluation) -> bool:
    if not evaluation.is_final:
        transitions.cancel(evaluation)
        evaluation.refresh_from_db()
        if not evaluation.is_final:  # its worker has to notice first
            return False
    delete_evaluation(evaluation=evaluation)
    return True


def _delete_file(file: LabelledFile) -> bool:
    """Delete the file first: a row without a file is found again, a file without a row is not."""
    get_bucket().delete(file.key)
    file.delete()
    return True
