"""Validators of a job's hyperparameters, from the ranges of `OPTIONS`."""

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.utils.deconstruct import deconstructible

from ..engine.specs.hyperparameters import ADVANCED, OPTIONS, PLATEAU, SEED, STEP
from ..engine.specs.options import check_options


@deconstructible
class OptionValidator:
    """Checks a value against a named option; not a number and infinity are out of every range."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, value: object) -> None:
        """Raise ValidationError for a value out of range."""
        option = SEED if self.name == "seed" else OPTIONS[self.name]
        _validate(option.check, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OptionValidator) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]


def validate_plateau(value: object) -> None:
    """Check `reduce_lr_on_plateau`, which has all of its options."""
    _validate(PLATEAU.check, value)


def validate_step(value: object) -> None:
    """Check `step_lr`, which has all of its options."""
    _validate(STEP.check, value)


def validate_advanced(value: object) -> None:
    """Check the further settings, each of which may be missing."""
    _validate(lambda given: check_options(given, ADVANCED), value)


def _validate(check: Callable[[object], object], value: object) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error
