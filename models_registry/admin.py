"""Admin pages of the registry."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from core.exceptions import TrainyardError

from .models import Artifact, RegisteredModel
from .services import keep_model, restore_model, retire_model


class ArtifactInline(TabularInline):
    """The files of a model, with size and SHA-256."""

    model = Artifact
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ModelAdmin):
    """Live and past models. Deleting is the clean-up's work: here they are retired and restored."""

    list_display = (
        "name",
        "state_label",
        "task_type",
        "owner",
        "accuracy_percent",
        "pinned",
        "expires_at",
        "live_at",
    )
    list_filter = (
        "state",
        "task_type",
        "origin",
        ("unusable_because", admin.EmptyFieldListFilter),
        "pinned",
        "downloadable",
        "architecture",
    )
    list_select_related = ("owner",)
    search_fields = ("name", "token")
    date_hierarchy = "created_at"
    show_full_result_count = False
    fields = (
        "name",
        "token",
        "owner",
        "state",
        "unusable_because",
        "origin",
        "task_type",
        "architecture",
        "strategy",
        "classes",
        "accuracy",
        "downloadable",
        "pinned",
        "live_at",
        "expires_at",
        "retired_at",
        "retired_by_document",
        "checked_at",
    )
    readonly_fields = (
        "token",
        "owner",
        "state",
        "unusable_because",
        "origin",
        "task_type",
        "architecture",
        "strategy",
        "classes",
        "accuracy",
        "live_at",
        "retired_at",
        "retired_by_document",
        "checked_at",
    )
    inlines = (ArtifactInline,)
    actions = ("retire", "restore", "keep_a_week", "pin", "unpin")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(
        description="state",
        ordering="state",
        label={"live": "success", "unusable": "danger", "retired": "warning", "deleting": "danger"},
    )
    def state_label(self, model: RegisteredModel) -> str:
        """Colour the state; a live model that cannot predict says so."""
        return "unusable" if model.is_live and model.unusable_because else model.state

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_percent(self, model: RegisteredModel) -> str:
        """Write the accuracy with its unit."""
        return f"{model.accuracy:.2f} %"

    @action(description="Retire (can be restored until the next clean-up)", permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        """Take the chosen models out of service."""
        self._each(request, queryset, "Retired.", lambda model: retire_model(model=model))

    @action(description="Restore", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        """Bring the chosen models back."""
        self._each(request, queryset, "Restored.", lambda model: restore_model(model=model))

    @action(description="Keep a week longer", permissions=["change"])
    def keep_a_week(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        """Let the chosen models live longer."""
        self._each(
            request,
            queryset,
            "Kept a week longer.",
            lambda model: keep_model(model=model, extra=timedelta(days=7)),
        )

    @action(description="Pin", permissions=["change"])
    def pin(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        """Let the chosen models live for ever."""
        self._set_pinned(request, queryset, pinned=True)

    @action(description="Unpin", permissions=["change"])
    def unpin(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        """Let the chosen models expire again."""
        self._set_pinned(request, queryset, pinned=False)

    def _set_pinned(self, request: HttpRequest, queryset: QuerySet[RegisteredModel], *, pinned: bool) -> None:
        def change(model: RegisteredModel) -> None:
            model.pinned = pinned
            model.save(update_fields=["pinned", "updated_at"])

        self._each(request, queryset, "Pinned." if pinned else "Unpinned.", change)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[RegisteredModel],
        done: str,
        change: Callable[[RegisteredModel], None],
    ) -> None:
        """Change each model, note it in its history, and say what could not be done."""
        changed = 0
        for model in queryset:
            try:
                change(model)
            except TrainyardError as error:
                self.message_user(request, str(error), messages.WARNING)
                continue
            self.log_change(request, model, done)
            changed += 1
        self.message_user(request, f"{changed} models: {done.lower()}")
