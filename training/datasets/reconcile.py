"""The periodic tasks of validations, which make whole again what a crash left half done."""

from datetime import timedelta

from django.conf import settings

from control.selectors import is_halted
from core.periodic import for_each
from work.queue import announce_waiting, rescue

from .models import DatasetValidation
from .outcomes import sweep, unswept

AT_ONCE = 50


def rescue_validations() -> int:
    """Take data sets from dead workers; returns how many."""
    return rescue(DatasetValidation, max_attempts=settings.TRAINYARD["MAX_ATTEMPTS"])


def announce_validations(*, unheard_for: timedelta | None = None) -> int:
    """Tell workers of data sets that wait and were not announced for so long, or a period; returns how many."""
    if is_halted():
        return 0
    if unheard_for is None:
        unheard_for = settings.TRAINYARD["RECONCILE_EVERY"]
    return announce_waiting(DatasetValidation, unheard_for=unheard_for)


def sweep_unusable_datasets() -> int:
    """Delete the files of unusable data sets; returns of how many."""
    return for_each(unswept().order_by("?")[:AT_ONCE], sweep)
