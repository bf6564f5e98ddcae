"""Application configuration."""

from datetime import timedelta
from functools import partial

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Registers the projection of training.json and tells status.json which job runs."""

    name = "training"
    verbose_name = "Training"

    def ready(self) -> None:
        from accounts import quota
        from control.activity import set_activity_source
        from core import periodic
        from core.observability import health, metrics
        from documents.drift import register_files
        from documents.registration import register
        from models_registry.models import TaskType
        from work.queue import set_slots_source

        from . import checks, signals  # noqa: F401
        from .datasets.files import DATASETS
        from .datasets.reconcile import sweep_unusable_datasets
        from .datasets.services import kept_datasets
        from .documents.projections import TrainingProjection
        from .jobs import reconcile, waiting  # noqa: F401
        from .jobs.files import CHECKPOINTS, known_files
        from .jobs.prometheus import read_metrics
        from .jobs.routing import route_queued_jobs
        from .jobs.selectors import running_activity, slots_by_queue
        from .networks.reconcile import fetch_networks_of_environment, sweep_fetches
        from .worker.health import look_at_periodic_tasks, look_for_worker
        from .worker.pretrained import fetch_pretrained

        register(TrainingProjection())
        periodic.register("route jobs", route_queued_jobs)
        periodic.register("sweep files", reconcile.sweep_files)
        periodic.register("sweep unusable data sets", sweep_unusable_datasets)
        periodic.register("fetch further networks", fetch_networks_of_environment)
        periodic.register("sweep fetches of networks", sweep_fetches)
        periodic.register("fetch pretrained weights", fetch_pretrained, may_take=timedelta(minutes=15))
        set_activity_source(running_activity)
        set_slots_source(slots_by_queue)
        health.register("worker", look_for_worker)
        health.register("periodic", look_at_periodic_tasks)
        metrics.register(read_metrics)
        quota.register(kept_datasets)
        for folder in (*(f"{task}/" for task in TaskType), DATASETS, CHECKPOINTS):
            register_files(folder, partial(known_files, folder))
