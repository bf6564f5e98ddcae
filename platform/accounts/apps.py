"""Application configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The people of the platform."""

    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from . import schema  # noqa: F401 - drf-spectacular knows what was imported
