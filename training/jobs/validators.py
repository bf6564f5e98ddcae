"""The ranges of hyperparameters as validators of a job's fields."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.deconstruct import deconstructible

from .hyperparameters import (
    ADVANCED,
    BATCH_SIZE,
    EPOCHS,
    LEARNING_RATE,
    PLATEAU,
    SEED,
    STEP,
    Option,
    check_options,
)

OPTIONS: dict[str, Option] = {
    "learning_rate": LEARNING_RATE,
    "batch_size": BATCH_SIZE,
    "epochs": EPOCHS,
    "seed": SEED,
}


@deconstructible
class OptionValidator:
    """Checks a value against a named option; not a number and infinity are out of every range."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, value: Any) -> None:
        """Raise ValidationError for a value out of range."""
        try:
            OPTIONS[self.name].check(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OptionValidator) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]


def validate_plateau(value: Any) -> None:
    """Check `reduce_lr_on_plateau`, which has all of its options."""
    _validate(value, PLATEAU, complete=True)


def validate_step(value: Any) -> None:
    """Check `step_lr`, which has all of its options."""
    _validate(value, STEP, complete=True)


def validate_advanced(value: Any) -> None:
    """Check the further settings, each of which may be missing."""
    _validate(value, ADVANCED)


def _validate(value: Any, known: Any, *, complete: bool = False) -> None:
    try:
        check_options(value, known, complete=complete)
    except ValueError as error:
        raise ValidationError(str(error)) from error
