"""Admin pages of the registry."""

from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from core.admin.base import (
    FileColumns,
    FixedRows,
    MachineOwnedAdmin,
    PlatformAdmin,
    breakable,
    label,
    link_to,
    moment_column,
    when,
)
from core.admin.confirmation import Confirmation, FormValues, confirmed

from .models import PRODUCTION, AliasMove, Artifact, Project, RegisteredModel
from .services import change_model, forgive_model, keep_model, restore_model, retire_model
from .tokens import masked

FIELD_OF_TOKEN = {"token_whole": "token_masked"}  # what who may not see it whole gets instead


class TokenAdmin(PlatformAdmin):
    """Rows with a model's token, which is the right to predict: only who may change the rows sees it whole.

    `fieldsets` name `token_whole`; others get `token_masked` in its place.
    """

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the fields, with the token as this person may see it."""
        sets = super().get_fieldsets(request, obj)
        if self.sees_secrets(request):
            return sets
        return [
            (
                title,
                {**options, "fields": tuple(FIELD_OF_TOKEN.get(name, name) for name in options["fields"])},
            )
            for title, options in sets
        ]

    @admin.display(description="token")
    def token_whole(self, row: Any) -> str:
        """Return the token."""
        return breakable(row.token)

    @admin.display(description="token")
    def token_masked(self, row: Any) -> str:
        """Return as much of the token as tells rows apart."""
        return masked(row.token)


class KeepForm(forms.Form):
    """How much longer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = settings.TRAINYARD["MAX_KEEP"].days
        self.fields["days"] = forms.IntegerField(
            label="Days",
            min_value=1,
            max_value=most,
            initial=min(7, most),
            help_text=f"Counted from now, or from its expiry where that is later; {most} days from now at most. What "
            "shall live longer is pinned, or gets its expiry on its page.",
            widget=UnfoldAdminIntegerFieldWidget,
        )


class ArtifactInline(FixedRows, FileColumns, TabularInline):
    """The files of a model, with size and SHA-256."""

    model = Artifact
    extra = 0
    can_delete = False
    fields = ("kind", "bytes", "checksum", "where")
    readonly_fields = fields
    verbose_name_plural = "files"
    hide_title = True

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="key in the bucket")
    def where(self, artifact: Artifact) -> str:
        """Return the key with the token masked: it is the right to predict."""
        token = artifact.model.token
        return breakable(artifact.key.replace(token, masked(token)))


class RegisteredModelAdmin(FixedRows, TokenAdmin):
    """Live and past models. Deleting is the clean-up's work: here they are retired and restored."""

    list_display = (
        "name",
        "state_label",
        "task_type",
        "owner",
        "accuracy_percent",
        "classes_counted",
        "downloadable",
        "expiry",
        "created",
    )
    list_filter: tuple[Any, ...] = (
        "state",
        "task_type",
        ("unusable_because", admin.EmptyFieldListFilter),
        "pinned",
        "downloadable",
        "origin",
    )
    list_select_related = ("owner",)
    search_start = "name"
    search_secret = "token"  # noqa: S105 - a column
    linked_by = ("owner",)
    searches_owner = True
    search_help_text = "Beginning of the name, whole token, or owner"
    date_hierarchy = "created_at"
    fieldsets: tuple[Any, ...] = (
        (
            None,
            {"fields": ("name", "state_label", "unusable_because", "owner", "token_whole", "description")},
        ),
        ("Expiry and access", {"fields": ("expires_at", "pinned", "downloadable")}),
        (
            "What it is",
            {
                "fields": (
                    *("task_type", "architecture", "strategy", "accuracy_percent", "classes_listed"),
                    *(
                        "origin",
                        "live_at",
                        "retired_at",
                        "retired_by_document",
                        "checked_at",
                        "broken_limits",
                    ),
                )
            },
        ),
    )
    readonly_fields: tuple[str, ...] = (
        *("state_label", "unusable_because", "owner", "token_whole", "token_masked", "task_type"),
        *(
            "architecture",
            "strategy",
            "accuracy_percent",
            "classes_listed",
            "origin",
            "live_at",
            "retired_at",
        ),
        *("retired_by_document", "checked_at", "broken_limits"),
    )
    inlines = (ArtifactInline,)
    actions: tuple[str, ...] = (
        *("retire", "restore", "keep", "pin", "unpin", "allow_downloads", "forbid_downloads", "forgive"),
    )
    actions_detail: tuple[Any, ...] = (
        *("keep", "pin", "unpin"),
        {"title": "More", "items": ["allow_downloads", "forbid_downloads", "forgive", "restore", "retire"]},
    )

    deferred = ("metrics", "accuracy_plot", "description")
    state_kinds = MappingProxyType(
        {
            "live": "success",
            "unusable": "danger",
            "expired": "warning",
            "retired": "warning",
            "being deleted": "danger",
        }
    )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A model that is no more is history, which nobody changes."""
        allowed = bool(super().has_change_permission(request))
        return allowed and (not isinstance(obj, RegisteredModel) or obj.is_live)

    def save_model(
        self, request: HttpRequest, obj: RegisteredModel, form: forms.ModelForm, change: bool
    ) -> None:
        """Write what was edited and nothing else: meanwhile the clean-up may have come by."""
        change_model(model=obj, changes={name: form.cleaned_data[name] for name in form.changed_data})

    def describe(self, row: RegisteredModel) -> str:
        """Tell models of the same name apart."""
        words = [str(row.get_task_type_display()), f"{row.accuracy:.1f} %"]
        words += [f"of {row.owner}"] if row.owner_id else []
        return ", ".join([*words, f"from {row.created_at:%d %B %Y}"])

    @admin.display(description="state", ordering="state")
    def state_label(self, model: RegisteredModel) -> str:
        """Colour the state; a live model that cannot predict, or is over, says so."""
        state = model.get_state_display()
        if model.is_live and not model.is_serving:
            state = "expired"
        elif model.is_live and model.unusable_because:
            state = "unusable"
        return label(state, self.state_kinds)

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_percent(self, model: RegisteredModel) -> str:
        """Write the accuracy with its unit."""
        return f"{model.accuracy:.1f} %"

    @admin.display(description="classes")
    def classes_counted(self, model: RegisteredModel) -> int:
        """Count the classes."""
        return len(model.classes)

    @admin.display(description="classes")
    def classes_listed(self, model: RegisteredModel) -> str:
        """Write the classes as a sentence."""
        return ", ".join(str(label) for label in model.classes)

    @admin.display(description="expires", ordering="expires_at")
    def expiry(self, model: RegisteredModel) -> object:
        """Say when the model ends; one that is pinned or has no expiry never does."""
        if not model.is_live:
            return None
        return "pinned" if model.pinned else when(model.expires_at) or "never"

    @confirmed(
        Confirmation(
            title="Retire",
            does="They stop predicting at once and leave inference.json.",
            undo="They can be restored until the next clean-up, which deletes their files.",
            done="Retired.",
            together=True,
            fits=lambda model: model.is_live,
            needs="live models",
        ),
        permission="change",
        icon="archive",
    )
    def retire(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Take a model out of service."""
        retire_model(model=model)

    @confirmed(
        Confirmation(
            title="Restore",
            does="They predict again and come back into inference.json, for an hour at least.",
            undo="They can be retired again.",
            done="Restored.",
            together=True,
            fits=lambda model: model.state == RegisteredModel.State.RETIRED,
            needs="retired models whose files have not been deleted yet",
        ),
        permission="change",
        icon="unarchive",
    )
    def restore(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Bring a model back."""
        restore_model(model=model)

    @confirmed(
        Confirmation(
            title="Let predict again",
            does="They predict again although they took too much; external files are checked first.",
            undo="They are switched off again when they break their limits twice.",
            done="They predict again, or are checked within a minute.",
            together=True,
            fits=lambda model: model.is_live and bool(model.unusable_because) and model.broken_limits > 0,
            needs="live models that were switched off for breaking their limits",
        ),
        permission="change",
        icon="restart_alt",
    )
    def forgive(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Give a model another chance."""
        forgive_model(model=model)

    @confirmed(
        Confirmation(
            title="Keep longer",
            does="Their expiry moves into the future.",
            undo="The expiry can be set on the page of each model.",
            done="Kept longer.",
            together=True,
            fits=lambda model: model.is_live and model.expires_at is not None,
            needs="live models that expire",
            form=KeepForm,
        ),
        permission="change",
        icon="update",
    )
    def keep(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Let a model live longer."""
        keep_model(model=model, extra=timedelta(days=values["days"]))

    @confirmed(
        Confirmation(
            title="Pin",
            does="They never expire, whatever their expiry says.",
            undo="They can be unpinned.",
            done="Pinned.",
            together=True,
            fits=lambda model: model.is_live and not model.pinned,
            needs="live models that are not pinned",
        ),
        permission="change",
        icon="keep",
    )
    def pin(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Let a model live for ever."""
        change_model(model=model, changes={"pinned": True})

    @confirmed(
        Confirmation(
            title="Unpin",
            does="They expire as their expiry says; what is past it goes with the next clean-up.",
            undo="They can be pinned again until then.",
            done="Unpinned.",
            together=True,
            fits=lambda model: model.is_live and model.pinned,
            needs="live models that are pinned",
        ),
        permission="change",
        icon="keep_off",
    )
    def unpin(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Let a model expire again."""
        change_model(model=model, changes={"pinned": False})

    @confirmed(
        Confirmation(
            title="Allow downloads",
            does="Anyone with a model's token may download its files.",
            undo="It can be forbidden again; files already downloaded stay with their owners.",
            done="Downloads allowed.",
            together=True,
            fits=lambda model: model.is_live and not model.downloadable,
            needs="live models that may not be downloaded",
        ),
        permission="change",
        icon="download",
    )
    def allow_downloads(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Let whoever has the token have the files."""
        change_model(model=model, changes={"downloadable": True})

    @confirmed(
        Confirmation(
            title="Forbid downloads",
            does="Nobody but the owner and administrators may download the files. Predicting goes on.",
            undo="It can be allowed again.",
            done="Downloads forbidden.",
            together=True,
            fits=lambda model: model.is_live and model.downloadable,
            needs="live models that may be downloaded",
        ),
        permission="change",
        icon="file_download_off",
    )
    def forbid_downloads(self, request: HttpRequest, model: RegisteredModel, values: FormValues) -> None:
        """Keep the files from others."""
        change_model(model=model, changes={"downloadable": False})


@admin.register(Project)
class ProjectAdmin(MachineOwnedAdmin, TokenAdmin):
    """Projects; their owners work with them on the project's own pages."""

    list_display = ("name", "state_label", "task_type", "owner", "production", "versions_counted", "created")
    list_filter = ("task_type", "policy", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_start = "name"
    search_secret = "token"  # noqa: S105 - a column
    linked_by = ("owner",)
    searches_owner = True
    search_help_text = "Beginning of the name, whole token, or owner"
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("name", "state_label", "owner", "token_whole", "description", "task_type")}),
        ("Versions", {"fields": ("production", "policy", "versions_counted", "withdrawn_at", "deleted_at")}),
    )
    readonly_fields = ("state_label", "token_whole", "token_masked", "production", "versions_counted")
    deferred = ("description",)
    state_kinds = MappingProxyType({"in service": "success", "out of service": "warning"})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Return projects with the number of the version in production, and how many there are."""
        served = RegisteredModel.objects.filter(aliases__project=OuterRef("pk"), aliases__name=PRODUCTION)
        last = RegisteredModel.objects.filter(project=OuterRef("pk")).order_by("-version")
        return (
            super()
            .get_queryset(request)
            .annotate(
                served=Subquery(served.values("version")[:1]), last=Subquery(last.values("version")[:1])
            )
        )

    @admin.display(description="state")
    def state_label(self, project: Project) -> str:
        """Tell whether the token answers."""
        if project.deleted_at is not None:
            return label("deleted", self.state_kinds)
        is_served = project.withdrawn_at is None and getattr(project, "served", None) is not None
        return label("in service" if is_served else "out of service", self.state_kinds)

    @admin.display(description="in production")
    def production(self, project: Project) -> str:
        """Name the version that answers the token."""
        served = getattr(project, "served", None)
        return f"version {served}" if served else "–"

    @admin.display(description="versions")
    def versions_counted(self, project: Project) -> int:
        """Count the versions that there ever were."""
        return getattr(project, "last", None) or 0


@admin.register(AliasMove)
class AliasMoveAdmin(MachineOwnedAdmin):
    """Who moved which alias, when and why."""

    list_display = ("project_name", "name", "from_version", "to_version", "kind", "by", "moved")
    list_filter = ("kind",)
    list_select_related = ("project", "from_model", "to_model", "by")
    fields = ("project_name", "name", "from_version", "to_version", "kind", "why", "by", "moved")
    readonly_fields = ("project_name", "from_version", "to_version", "moved")
    moved = moment_column("created_at", "when")

    @admin.display(description="project")
    def project_name(self, move: AliasMove) -> str:
        """Name the project."""
        return move.project.name

    @admin.display(description="from")
    def from_version(self, move: AliasMove) -> str:
        """Link to the version that the alias named before."""
        return _version_link(move.from_model)

    @admin.display(description="to")
    def to_version(self, move: AliasMove) -> str:
        """Link to the version that it names since."""
        return _version_link(move.to_model)


def _version_link(model: RegisteredModel | None) -> str:
    return link_to(model, f"version {model.version}") if model is not None else "–"
