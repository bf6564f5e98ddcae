"""Application configuration."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Users and their groups; creates both groups of staff after `migrate`."""

    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from django.apps import apps

        from . import schema  # noqa: F401 - drf-spectacular knows what was imported
        from .roles import grant_roles

        *_, last = (
            app for app in apps.get_app_configs() if app.models_module
        )  # by then all rights are there
        post_migrate.connect(grant_roles, sender=last, dispatch_uid="accounts.roles")
