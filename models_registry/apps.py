"""Application configuration."""

from functools import partial

from django.apps import AppConfig


class ModelsRegistryConfig(AppConfig):
    """Registers the projection of inference.json."""

    name = "models_registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from core import periodic
        from documents.drift import register_files
        from documents.registration import register

        from . import signals  # noqa: F401
        from .checks import check_imported_models
        from .models import TaskType
        from .projections import InferenceProjection
        from .selectors import known_files

        register(InferenceProjection())
        periodic.register("check imported models", check_imported_models)
        for task in TaskType:
            register_files(f"{task}/", partial(known_files, task))
