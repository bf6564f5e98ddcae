"""Filters of lists, for values that a database can compare with: others are refused as the wrong kind."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField

LARGEST_KEY = 2**63 - 1


def is_computable(moment: datetime) -> bool:
    """Tell whether a moment lies within Python's years in UTC as well as where it was written."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


class MomentField(IsoDateTimeField):
    """A moment, as in 2026-01-31T12:00:00Z."""

    def to_python(self, value: object) -> object:
        """Return the moment. Raises `ValidationError`, also for one that is outside of all years in UTC."""
        try:
            moment = super().to_python(value)
        except OverflowError as error:
            raise ValidationError(self.default_error_messages["invalid"], "invalid") from error
        if isinstance(moment, datetime) and not is_computable(moment):
            raise ValidationError(self.default_error_messages["invalid"], "invalid")
        return moment


class MomentFilter(filters.IsoDateTimeFilter):
    """Compares with a moment."""

    field_class = MomentField


class KeyFilter(filters.NumberFilter):
    """Compares with a row's number."""

    field_class = forms.IntegerField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=0, max_value=LARGEST_KEY, **kwargs)

    def get_max_validator(self) -> None:
        """Leave the bound to the field."""
