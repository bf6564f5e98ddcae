"""Application configuration."""

from functools import partial

from django.apps import AppConfig


class WorkConfig(AppConfig):
    """Registers for every kind of leased work what makes it whole again after a crash."""

    name = "work"
    verbose_name = "Work"

    def ready(self) -> None:
        from core import periodic

        from . import signals  # noqa: F401
        from .queue import announce_lost, kinds, rescue

        for kind in kinds():
            periodic.register(f"rescue {kind.plural()}", partial(rescue, kind))
        for kind in kinds():
            periodic.register(f"announce {kind.plural()}", partial(announce_lost, kind))
