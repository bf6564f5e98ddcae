"""Application configuration."""

from django.apps import AppConfig


class ControlConfig(AppConfig):
    """Registers the projections of status.json and cleanup.json."""

    name = "control"
    verbose_name = "Switches"

    def ready(self) -> None:
        from documents.registration import register

        from . import signals  # noqa: F401
        from .projections import CleanupProjection, StatusProjection

        register(StatusProjection())
        register(CleanupProjection())
