"""Application configuration."""

from datetime import timedelta

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    """The documents in step with the database; registers their health, numbers and periodic tasks."""

    name = "documents"
    verbose_name = "Documents"

    def ready(self) -> None:
        from core import periodic
        from core.observability import health, metrics

        from .bucket_check import check_bucket, forget_overruled_changes
        from .health import look_at_bucket
        from .metrics import read_metrics

        health.register("bucket", look_at_bucket)
        metrics.register(read_metrics)
        periodic.register("check bucket", lambda: str(check_bucket()))
        periodic.register("forget overruled changes", forget_overruled_changes, every=timedelta(hours=1))
