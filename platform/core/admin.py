"""Shared ground of the admin pages."""

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin


class MachineOwnedAdmin(ModelAdmin):
    """Rows to look at: nobody adds, changes or deletes them by hand."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
