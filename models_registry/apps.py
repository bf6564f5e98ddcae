"""Application configuration."""

from functools import partial

from django.apps import AppConfig


class ModelsRegistryConfig(AppConfig):
    """Registers the projection of inference.json."""

    name = "models_registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from documents.drift import register_files
        from documents.projections import register

        from . import signals  # noqa: F401
        from .models import TaskType
        from .projections import InferenceProjection
        from .selectors import known_files

        register(InferenceProjection())
        for task in TaskType:
            register_files(f"{task}/", partial(known_files, task))
