"""Base classes of the platform's tables."""

from datetime import datetime
from typing import Any, Self

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from .exceptions import InvalidRequest


class OwnedQuerySet(models.QuerySet[Any]):
    """Rows with an owner; those without one belong to the platform."""

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Return the rows that a user may see and change: their own; all for operators, none for anonymous users."""
        if not user.is_authenticated:
            return self.none()
        return self if getattr(user, "is_operator", False) else self.filter(owner_id=user.pk)


class TimestampedModel(models.Model):
    """A row with the times of its creation and its last change (UTC)."""

    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class SingletonModel(models.Model):
    """A table of exactly one row, which exists from its first use on."""

    SINGLETON_ID = 1

    id = models.PositiveSmallIntegerField(primary_key=True, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save over the one row, whichever instance this is."""
        self.id = self.SINGLETON_ID
        super().save(*args, **kwargs)

    @classmethod
    def load(cls) -> Self:
        """Return the row; make it with its defaults when there is none yet."""
        return cls._default_manager.get_or_create(pk=cls.SINGLETON_ID)[0]


def check_fields(row: models.Model, *, exclude: list[str]) -> None:
    """Validate a row. Raises `InvalidRequest` with each invalid field and its problem."""
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as error:
        fields = (f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
        raise InvalidRequest(" ".join(fields)) from error


class PeriodicTask(models.Model):
    """When a periodic task last ran, in any process."""

    name = models.CharField(max_length=80, primary_key=True)
    first_seen_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True, help_text="When a run last ended well.")
    failed_at = models.DateTimeField(null=True, help_text="When a run last failed.")
    unfinished = models.IntegerField(
        default=0, help_text="Runs that began since one last ended well and did not end well themselves."
    )
    error = models.TextField(blank=True, help_text="Why the last run failed; empty since one ended well.")

    class Meta:
        verbose_name = "periodic task"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def running_since(self) -> datetime | None:
        """Return when the unfinished run began; None if there is none."""
        ended = max((at for at in (self.succeeded_at, self.failed_at) if at is not None), default=None)
        return self.started_at if ended is None or (self.started_at or ended) > ended else None
