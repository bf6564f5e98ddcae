"""Application configuration."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Shared ground of all apps; has no tables of its own."""

    name = "core"
