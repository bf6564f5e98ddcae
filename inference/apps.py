"""Application configuration."""

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """Predictions by token; has no tables of its own."""

    name = "inference"
    verbose_name = "Inference"
