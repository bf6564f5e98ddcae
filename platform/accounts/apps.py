"""Application configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The people of the platform."""

    name = "accounts"
    verbose_name = "People"
