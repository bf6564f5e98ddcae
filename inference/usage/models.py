"""The table of usage: a row for each model and day."""

from django.db import models

from models_registry.models import RegisteredModel


class ModelUsage(models.Model):
    """The usage of a model on one day (UTC), added up every few seconds."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    calls = models.PositiveBigIntegerField(default=0)
    inputs = models.PositiveBigIntegerField(default=0)
    milliseconds = models.FloatField(default=0.0, help_text="Of all calls together.")
    slowest = models.FloatField(default=0.0, help_text="Milliseconds of the slowest call.")
    latencies = models.JSONField(
        default=list, help_text="Calls by their time; the buckets are statistics.BUCKETS."
    )
    labels = models.JSONField(default=dict, help_text="Predictions by their label.")
    last_used_at = models.DateTimeField()

    class Meta:
        verbose_name = "use of a model"
        verbose_name_plural = "use of models"
        ordering = ("-day", "-calls")
        indexes = [models.Index(name="use_by_day", fields=["day", "calls"])]
        constraints = [models.UniqueConstraint(name="one_row_of_use_a_day", fields=["model", "day"])]

    def __str__(self) -> str:
        return f"{self.model} on {self.day}"
