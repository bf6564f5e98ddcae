"""Application configuration."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """The core app; its one table records when the periodic tasks last ran."""

    name = "core"
    verbose_name = "Platform"

    def ready(self) -> None:
        from . import checks  # noqa: F401
        from .observability.health import look_at_database, register
        from .queue.app import look_at_broker

        register("database", look_at_database)
        register("broker", look_at_broker)
