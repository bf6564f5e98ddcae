"""Application configuration."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    """The mirror between the database and the bucket; registers its health and numbers."""

    name = "documents"
    verbose_name = "Documents"

    def ready(self) -> None:
        from core import health, metrics

        from .health import look_at_bucket
        from .metrics import read_metrics

        health.register("bucket", look_at_bucket)
        metrics.register(read_metrics)
