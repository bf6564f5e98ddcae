"""Application configuration."""

from datetime import timedelta
from functools import partial

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Registers the projection of training.json and tells status.json which job runs."""

    name = "training"
    verbose_name = "Training"

    def ready(self) -> None:
        from . import checks, signals  # noqa: F401
        from .jobs import waiting  # noqa: F401

        self._register_documents()
        self._register_periodic_tasks()
        self._register_sources()

    def _register_documents(self) -> None:
        from documents.drift import register_files
        from documents.registration import register
        from models_registry.models import TaskType

        from .datasets.files import DATASETS
        from .documents.projections import TrainingProjection
        from .examples import files as examples_files
        from .examples import stored_features
        from .jobs.files import CHECKPOINTS, known_files

        register(TrainingProjection())
        for folder in (*(f"{task}/" for task in TaskType), DATASETS, CHECKPOINTS):
            register_files(folder, partial(known_files, folder))
        register_files(examples_files.PROJECTS, examples_files.known_files)
        register_files(examples_files.PROJECTS, stored_features.known_files)

    def _register_periodic_tasks(self) -> None:
        from core import periodic

        from .datasets.reconcile import sweep_unusable_datasets
        from .examples.findings import apply_waiting
        from .examples.stored_features import trim_features
        from .jobs.project_deletion import sweep_deleted_projects
        from .jobs.reconcile import sweep_files
        from .jobs.routing import route_queued_jobs
        from .networks.reconcile import fetch_networks_of_environment, sweep_fetches
        from .worker.pretrained import fetch_pretrained

        periodic.register("route jobs", route_queued_jobs)
        periodic.register("sweep files", sweep_files)
        periodic.register("take over findings", apply_waiting)
        periodic.register("sweep deleted projects", sweep_deleted_projects)
        periodic.register("trim features", trim_features)
        periodic.register("sweep unusable data sets", sweep_unusable_datasets)
        periodic.register("fetch further networks", fetch_networks_of_environment)
        periodic.register("sweep fetches of networks", sweep_fetches)
        periodic.register("fetch pretrained weights", fetch_pretrained, may_take=timedelta(minutes=15))

    def _register_sources(self) -> None:
        """Register the functions that lower layers ask: activity, slots, health, metrics, storage."""
        from accounts import quota
        from control.activity import set_activity_source
        from core.observability import health, metrics
        from work.queue import set_slots_source

        from .datasets.services import kept_datasets
        from .examples.stored_features import kept_features
        from .jobs.prometheus import read_metrics
        from .jobs.selectors import running_activity, slots_by_queue
        from .worker.health import look_at_periodic_tasks, look_for_worker

        set_activity_source(running_activity)
        set_slots_source(slots_by_queue)
        health.register("worker", look_for_worker)
        health.register("periodic", look_at_periodic_tasks)
        metrics.register(read_metrics)
        quota.register(kept_datasets)
        quota.register(kept_features)
