"""Application configuration."""

from datetime import timedelta

from django.apps import AppConfig


class EvaluationsConfig(AppConfig):
    """The evaluations app: versions measured and compared; registers its files, quota and periodic tasks."""

    name = "evaluations"
    verbose_name = "Evaluations"

    def ready(self) -> None:
        from accounts import quota
        from core import periodic
        from documents.drift import register_files
        from training.examples.files import PROJECTS

        from . import signals  # noqa: F401
        from .files import kept_evaluations, known_files
        from .policy import apply_policies
        from .reconcile import delete_stale_evaluations

        periodic.register("promote what is better", apply_policies)
        periodic.register("delete evaluations", delete_stale_evaluations, every=timedelta(minutes=10))
        register_files(PROJECTS, known_files)
        quota.register(kept_evaluations)
