"""Application configuration."""

from functools import partial

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Registers the projection of training.json and tells status.json which job runs."""

    name = "training"
    verbose_name = "Training"

    def ready(self) -> None:
        from control.activity import set_activity_source
        from control.upkeep import register_upkeep
        from core import health, metrics
        from documents.drift import register_files
        from documents.projections import register
        from models_registry.models import TaskType

        from . import checks, signals  # noqa: F401
        from .datasets.reconcile import keep_validations_going
        from .files import CHECKPOINTS, DATASETS, known_files
        from .health import look_for_worker
        from .metrics import read_metrics
        from .projections import TrainingProjection
        from .selectors import running_activity

        register(TrainingProjection())
        set_activity_source(running_activity)
        health.register("worker", look_for_worker)
        metrics.register(read_metrics)
        register_upkeep(keep_validations_going)
        for folder in (*(f"{task}/" for task in TaskType), DATASETS, CHECKPOINTS):
            register_files(folder, partial(known_files, folder))
