"""Application configuration."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Shared ground of all apps; has no tables of its own."""

    name = "core"

    def ready(self) -> None:
        from . import checks  # noqa: F401
        from .health import look_at_database, register

        register("database", look_at_database)
