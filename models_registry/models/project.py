"""Projects: what people work on; the names under which its versions are served, and how these names moved."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q, Subquery

from core.indexes import PrefixIndex
from core.models import OwnedQuerySet, TimestampedModel
from core.names import validate_name

from .task_type import TaskType

LONGEST_RETENTION = 3650  # days
PRODUCTION = "production"  # the alias whose version answers to the project's token
ALIAS_NAME = RegexValidator(
    r"^[a-z][a-z0-9-]{0,39}\Z", "Use 1 to 40 small letters, digits and hyphens, a letter first."
)


class ProjectQuerySet(OwnedQuerySet):
    """Questions about projects in the words of the domain."""

    def current(self) -> ProjectQuerySet:
        """Projects that were not deleted."""
        return self.filter(deleted_at__isnull=True)

    def in_service(self) -> ProjectQuerySet:
        """Projects whose token answers, when they have a production version that does."""
        return self.current().filter(withdrawn_at__isnull=True)


class Project(TimestampedModel):
    """What a person works on: examples, trainings, versions, and a token that stays when the version changes."""

    class Policy(models.TextChoices):
        """Who makes a new version the one that answers to the project's token."""

        MANUAL = "manual", "by hand"
        WHEN_BETTER = "when-better", "by itself when it is better beyond chance"

    public_id = models.UUIDField(
        default=uuid.uuid4,
        unique=True,
        editable=False,
        help_text="Names the project in addresses: its token is the right to predict.",
    )
    token = models.CharField(
        max_length=160, unique=True, editable=False, help_text="Answers with the production version."
    )
    name = models.CharField(max_length=100, validators=[validate_name])
    description = models.TextField(
        blank=True,
        max_length=4000,
        help_text="What its models are for, and what they are not for, in your own words.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="projects", null=True
    )
    task_type = models.CharField(max_length=24, choices=TaskType, editable=False)
    policy = models.CharField(
        "promotion", max_length=16, choices=Policy, default=Policy.MANUAL, help_text="Of new versions."
    )
    retention = models.DurationField(
        null=True,
        blank=True,
        validators=[MinValueValidator(timedelta(minutes=1))],
        help_text="How long versions that are not in production are kept; empty: as long as the platform keeps them.",
    )
    deleted_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When its token was taken out of service, as by who removes it from inference.json.",
    )

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(name="project_task_known", condition=Q(task_type__in=TaskType.values)),
            models.CheckConstraint(
                name="project_policy_known", condition=Q(policy__in=["manual", "when-better"])
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at"]),
            PrefixIndex(name="project_name_start", fields=["name"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def retention_days(self) -> int | None:
        """The retention in whole days; None for that of the platform."""
        return self.retention.days if self.retention else None

    @retention_days.setter
    def retention_days(self, days: int | None) -> None:
        self.retention = timedelta(days=days) if days else None


class Alias(models.Model):
    """A name for one version of a project: `production`, `candidate`, any other."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=40, validators=[ALIAS_NAME])
    model = models.ForeignKey("RegisteredModel", on_delete=models.PROTECT, related_name="aliases")
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ("name",)
        constraints = [models.UniqueConstraint(name="alias_once_in_a_project", fields=["project", "name"])]

    def __str__(self) -> str:
        return self.name


def production_under(token: str, *, in_service: bool = False) -> Subquery:
    """Return the key of the model that is in production under a project's token, as part of a query."""
    aliases = Alias.objects.filter(name=PRODUCTION, project__token=token)
    if in_service:
        aliases = aliases.filter(project__deleted_at__isnull=True, project__withdrawn_at__isnull=True)
    return Subquery(aliases.values("model")[:1])


class AliasMove(models.Model):
    """One move of an alias: who, when, from which version to which, and why."""

    class Kind(models.TextChoices):
        """What moved it."""

        FIRST = "first", "first version"
        PROMOTION = "promotion", "promoted"
        POLICY = "policy", "promoted by the policy"
        ROLL_BACK = "roll-back", "rolled back"
        NAMED = "named", "named"
        REMOVAL = "removal", "removed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alias_moves")
    name = models.CharField(max_length=40)
    from_model = models.ForeignKey("RegisteredModel", on_delete=models.PROTECT, null=True, related_name="+")
    to_model = models.ForeignKey("RegisteredModel", on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    why = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="Empty: the platform itself.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "move of an alias"
        verbose_name_plural = "moves of aliases"
        ordering = ("-id",)
        indexes = [models.Index(name="moves_of_an_alias", fields=["project", "name", "-id"])]

    def __str__(self) -> str:
        return f"{self.name} of {self.project}"
