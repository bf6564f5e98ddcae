"""Admin pages of the switches: one row each, which can be changed and never added or deleted."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from core.models import SingletonModel

from .models import CleanupPolicy, PlatformStatus


class SingletonAdmin(ModelAdmin):
    """Leads straight to the one row."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Skip the list."""
        model: type[SingletonModel] = self.model
        row = model.load()
        return redirect(
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
        )


@admin.register(PlatformStatus)
class PlatformStatusAdmin(SingletonAdmin):
    """Maintenance mode and how submissions queue."""

    fields = ("dev_mode", "queue_while_active")


@admin.register(CleanupPolicy)
class CleanupPolicyAdmin(SingletonAdmin):
    """Whether and when models are deleted."""

    fields = ("status", "retention")
