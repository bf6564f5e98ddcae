"""Application configuration."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Registers the projection of training.json and tells status.json which job runs."""

    name = "training"
    verbose_name = "Training"

    def ready(self) -> None:
        from control.activity import set_activity_source
        from documents.projections import register

        from . import signals  # noqa: F401
        from .projections import TrainingProjection
        from .selectors import running_activity

        register(TrainingProjection())
        set_activity_source(running_activity)
