"""The two rows of switches behind status.json and cleanup.json."""

from datetime import timedelta

from django.core.validators import MinValueValidator
from django.db import models

from core.models import SingletonModel


class PlatformStatus(SingletonModel):
    """What an operator can switch about the whole platform; mirrored in status.json."""

    dev_mode = models.BooleanField(
        "maintenance mode",
        default=False,
        help_text="Halts everything: no submission, no start of a job, no prediction, no clean-up. "
        "`dev_mode` in status.json.",
    )
    queue_while_active = models.BooleanField(
        "queue submissions while a job runs",
        default=True,
        help_text="Off: submissions are refused while a job runs, as older clients of status.json expect.",
    )

    class Meta:
        verbose_name = "platform status"
        verbose_name_plural = "platform status"
        constraints = [models.CheckConstraint(name="one_platform_status", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return "halted for maintenance" if self.dev_mode else "in operation"


class CleanupPolicy(SingletonModel):
    """When the clean-up may delete models, and how long a model lives; mirrored in cleanup.json."""

    class Status(models.TextChoices):
        """The two words of cleanup.json."""

        ACTIVE = "active", "active: delete expired models"
        SLEEPING = "sleeping", "sleeping: delete nothing"

    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    retention = models.DurationField(
        default=timedelta(days=30),
        null=True,
        blank=True,
        validators=[MinValueValidator(timedelta(minutes=1))],
        help_text="How long a model lives, as [days] hh:mm:ss; empty: for ever. "
        "Changing it leaves the expiry of existing models as it is. Pinned models never expire.",
    )
    counts_from_use = models.BooleanField(
        "count from the last use", default=True, help_text="Off: from the end of the training."
    )
    spares_production = models.BooleanField(
        "keep what is in production",
        default=True,
        help_text="The version that answers a project's token never expires. Off, for public demos: it goes like any "
        "other.",
    )

    class Meta:
        verbose_name = "clean-up policy"
        verbose_name_plural = "clean-up policy"
        constraints = [
            models.CheckConstraint(name="one_cleanup_policy", condition=models.Q(id=1)),
            models.CheckConstraint(
                name="cleanup_status_known", condition=models.Q(status__in=["active", "sleeping"])
            ),
        ]

    def __str__(self) -> str:
        return str(self.get_status_display())
