"""Application configuration."""

from datetime import timedelta

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """The inference app: predictions, batches and their counts; registers its quota, metrics and periodic tasks."""

    name = "inference"
    verbose_name = "Inference"

    def ready(self) -> None:
        from accounts import quota
        from core import periodic
        from documents.drift import register_files

        from .batches.files import BATCHES, known_files
        from .batches.reconcile import delete_expired_batches
        from .batches.services import kept_batches
        from .usage.statistics import delete_old_usage

        periodic.register("delete expired batches", delete_expired_batches)
        periodic.register("delete old usage", delete_old_usage, every=timedelta(hours=1))
        register_files(BATCHES, known_files)
        quota.register(kept_batches)
