"""Application configuration."""

from django.apps import AppConfig


class ModelsRegistryConfig(AppConfig):
    """Registers the projection of inference.json."""

    name = "models_registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from documents.projections import register

        from . import signals  # noqa: F401
        from .projections import InferenceProjection

        register(InferenceProjection())
