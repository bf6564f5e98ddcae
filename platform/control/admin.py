"""Admin pages of the switches: one row each, which can be changed and never added or deleted."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse

from core.admin.base import FixedRows, PlatformAdmin, label
from core.admin.confirmation import Confirmation, FormValues, confirmed
from core.models import SingletonModel
from core.observability.health import OK, examine

from .models import CleanupPolicy, PlatformStatus
from .services import PRESETS, switch_clean_up, switch_maintenance, use_retention_preset

STATES = {"in operation": "success", "active": "success", "halted": "warning", "sleeping": "warning"}


class SingletonAdmin(FixedRows, PlatformAdmin):
    """Admin of a table with one row: the list redirects to its form."""

    counts_rows = False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Redirect to the form of the one row."""
        model: type[SingletonModel] = self.model
        row = model.load()
        return redirect(
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
        )


@admin.register(PlatformStatus)
class PlatformStatusAdmin(SingletonAdmin):
    """Maintenance mode and how submissions queue."""

    fields = ("maintenance", "queue_while_active")
    readonly_fields = ("maintenance",)
    actions_detail = ("halt", "resume")

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the health panel, which the dashboard loads later: it may take two seconds."""
        health = path("health/", self.admin_site.admin_view(self.health), name="platform_health")
        return [health, *super().get_urls()]

    def health(self, request: HttpRequest) -> HttpResponse:
        """Return the panel with each part's health. Raises `PermissionDenied`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        parts = [(name, said, said == OK) for name, said in examine().items()]
        return render(request, "admin/dashboard/health.html", {"parts": parts})

    @admin.display(description="maintenance mode")
    def maintenance(self, status: PlatformStatus) -> str:
        """Return whether the platform is in operation or halted."""
        return label("halted" if status.dev_mode else "in operation", STATES)

    @confirmed(
        Confirmation(
            title="Halt for maintenance",
            does="Nothing is accepted, started, predicted or deleted any more; everybody is told so. Running jobs "
            "stop within seconds, keep their last checkpoint and wait.",
            undo="Everything goes on where it was when the platform is put back into operation.",
            done="Halted for maintenance.",
            fits=lambda status: not status.dev_mode,
            needs="a platform in operation",
        ),
        permission="change",
        icon="construction",
    )
    def halt(self, request: HttpRequest, status: PlatformStatus, values: FormValues) -> None:
        """Switch maintenance mode on."""
        switch_maintenance(on=True)

    @confirmed(
        Confirmation(
            title="Put back into operation",
            does="Submissions, predictions and the clean-up work again, and waiting jobs start.",
            undo="The platform can be halted again.",
            done="Put back into operation.",
            fits=lambda status: status.dev_mode,
            needs="a platform that is halted",
        ),
        permission="change",
        icon="play_arrow",
    )
    def resume(self, request: HttpRequest, status: PlatformStatus, values: FormValues) -> None:
        """Switch maintenance mode off."""
        switch_maintenance(on=False)


def _is_like(policy: CleanupPolicy, preset: str) -> bool:
    return all(getattr(policy, name) == value for name, value in PRESETS[preset].items())


@admin.register(CleanupPolicy)
class CleanupPolicyAdmin(SingletonAdmin):
    """Whether and when models are deleted."""

    fields = ("cleaning", "retention", "counts_from_use", "spares_production")
    readonly_fields = ("cleaning",)
    actions_detail = ("wake", "stop", "keep_used", "be_demo")

    @admin.display(description="clean-up")
    def cleaning(self, policy: CleanupPolicy) -> str:
        """Return whether expired models are deleted."""
        return label(policy.status, STATES)

    @confirmed(
        Confirmation(
            title="Keep what is used",
            does="New models live for 30 days after their last use; what is in production never expires.",
            undo="Each value can be set on this page. Existing models keep their expiry.",
            done="Models that are used are kept.",
            fits=lambda policy: not _is_like(policy, "standard"),
            needs="another setting",
        ),
        permission="change",
        icon="event_repeat",
    )
    def keep_used(self, request: HttpRequest, policy: CleanupPolicy, values: FormValues) -> None:
        """Set the preset for platforms that people work with."""
        use_retention_preset("standard")

    @confirmed(
        Confirmation(
            title="Use the preset for public demos",
            does="New models are deleted two hours after their training, also those in production.",
            undo="Each value can be set on this page. Existing models keep their expiry.",
            done="New models live for two hours.",
            fits=lambda policy: not _is_like(policy, "demo"),
            needs="another setting",
        ),
        permission="change",
        icon="timer",
    )
    def be_demo(self, request: HttpRequest, policy: CleanupPolicy, values: FormValues) -> None:
        """Set the preset for public demos."""
        use_retention_preset("demo")

    @confirmed(
        Confirmation(
            title="Let the clean-up delete",
            does="With its next run, models that are retired or past their expiry are deleted with their files. "
            "Pinned ones stay.",
            undo="",
            done="Clean-up is active.",
            fits=lambda policy: policy.status == CleanupPolicy.Status.SLEEPING,
            needs="a clean-up that sleeps",
        ),
        permission="change",
        icon="mop",
    )
    def wake(self, request: HttpRequest, policy: CleanupPolicy, values: FormValues) -> None:
        """Switch the clean-up on."""
        switch_clean_up(on=True)

    @confirmed(
        Confirmation(
            title="Stop the clean-up",
            does="Nothing is deleted any more: expired models stay, and storage grows.",
            undo="The clean-up can be let loose again.",
            done="Clean-up is sleeping.",
            fits=lambda policy: policy.status == CleanupPolicy.Status.ACTIVE,
            needs="a clean-up that is active",
        ),
        permission="change",
        icon="pause",
    )
    def stop(self, request: HttpRequest, policy: CleanupPolicy, values: FormValues) -> None:
        """Switch the clean-up off."""
        switch_clean_up(on=False)
