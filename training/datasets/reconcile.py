"""What keeps validations going when somebody dies: part of every `reconcile`, safe to run at any time."""

from datetime import timedelta

from django.conf import settings

from control.selectors import is_halted
from work.queue import announce_waiting, rescue

from ..models import DatasetValidation
from .outcomes import sweep, unswept

AT_ONCE = 50


def keep_validations_going() -> None:
    """Do all that is below."""
    rescue_validations()
    announce_validations(unheard_for=settings.TRAINYARD["RECONCILE_EVERY"])
    sweep_unusable_datasets()


def rescue_validations() -> int:
    """Take data sets from dead workers; returns how many."""
    return rescue(DatasetValidation, max_attempts=settings.TRAINYARD["MAX_ATTEMPTS"])


def announce_validations(*, unheard_for: timedelta) -> int:
    """Tell workers of data sets that wait and were not announced for so long; returns how many."""
    return 0 if is_halted() else announce_waiting(DatasetValidation, unheard_for=unheard_for)


def sweep_unusable_datasets() -> int:
    """Delete the files of unusable data sets; returns how many."""
    return sum(sweep(validation) for validation in unswept()[:AT_ONCE])
