"""Admin page of networks of the hub: what is here, what it is under which licence, and how far its fetch is."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html, format_html_join
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from core.admin.base import MachineOwnedAdmin, label, link_to, when
from core.admin.confirmation import Confirmation, FormValues, confirmed
from core.exceptions import InvalidRequest

from ..engine.catalogue import HUB, TIMM
from ..engine.curated import CURATED, CuratedNetwork
from .facts import hub_address
from .models import HubNetwork
from .services import add_network, cancel_fetch, fetch_network, full_name, remove_network

STATES = {
    "ready": "success",
    "failed": "danger",
    "fetching": "info",
    "waits": "info",
    "cancelling": "warning",
}
UNDER_WAY = ("waits", "fetching", "cancelling")
ATTEMPTS_SHOWN = 10
TASKS = (("imageclassification", "Images"), ("textclassification", "Texts"))


class AddNetworkForm(forms.ModelForm):
    """One of the curated list, or the name of any other."""

    curated = forms.ChoiceField(
        label="Recommended",
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="With licence, and the bytes to fetch.",
    )
    fetch = forms.BooleanField(
        label="Fetch it now",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="A worker does it; progress is shown on the list of networks.",
    )

    class Meta:
        model = HubNetwork
        fields = ("name", "wanted_revision")
        widgets = {"name": UnfoldAdminTextInputWidget, "wanted_revision": UnfoldAdminTextInputWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name, curated = self.fields["name"], self.fields["curated"]
        name.required, name.label = False, "Or any other"
        name.help_text = (
            "timm/NETWORK.TAG as timm/resnet50.a1_in1k, or hf/OWNER/ENCODER as hf/intfloat/e5-small-v2."
        )
        assert isinstance(curated, forms.ChoiceField)
        groups = [
            (words, [(one.name, _in_words(one)) for one in CURATED if one.task_type == task])
            for task, words in TASKS
        ]
        curated.choices = [("", "–"), *groups]

    def clean(self) -> dict[str, Any]:
        """Choose the one that was named; refuse none, two, and what can be no network."""
        values = super().clean() or self.cleaned_data
        named = [name for name in (values.get("curated"), values.get("name")) if name]
        if len(named) != 1:
            raise forms.ValidationError("Choose a recommended network, or write the name of another one.")
        try:
            values["name"] = full_name(named[0])
        except InvalidRequest as error:
            raise forms.ValidationError(str(error)) from error
        if HubNetwork.objects.filter(name=values["name"]).exists():
            raise forms.ValidationError(f"{values['name']} was added before: it is in the list.")
        return values


def _in_words(network: CuratedNetwork) -> str:
    good_for = f" ({', '.join(network.good_for)})" if network.good_for else ""
    name = network.name.removeprefix(HUB).removeprefix(TIMM)
    return f"{name}{good_for}: {network.license}, {filesizeformat(network.bytes)}"


def _percent(network: Any) -> int:
    return int(min(100, network.fetch_done * 100 // network.fetch_total))


@admin.register(HubNetwork)
class HubNetworkAdmin(MachineOwnedAdmin):
    """Networks of the hub: added by people, fetched by workers."""

    add_form = AddNetworkForm
    list_display = ("name", "reads", "license", "bytes", "knows", "state_label", "arrived", "fetched")
    list_filter = ("task_type",)
    list_before_template = "admin/training/networks.html"
    search_start = "name"
    search_help_text = "Beginning of the name, as timm/res or hf/intfloat"
    fieldsets = (
        (None, {"fields": ("name", "reads", "license", "knows", "bytes", "hub_page")}),
        ("State", {"fields": ("state_label", "progress", "message")}),
        ("Pinned", {"fields": ("wanted_revision", "revision", "checksums")}),
        ("History", {"fields": ("added", "attempts")}),
    )
    actions = ("fetch", "cancel", "remove")
    actions_detail = ("fetch", "cancel", "remove")

    def get_queryset(self, request: HttpRequest) -> QuerySet[HubNetwork]:
        """Know of each how its last fetch goes."""
        networks: Any = super().get_queryset(request)
        return networks.with_last_fetch().select_related("added_by")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tell whether this person may bring networks in: a matter of licences, and of trust."""
        return bool(request.user.has_perm("training.add_hubnetwork"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Ask for a name where one is added."""
        return super().get_form(request, obj, change, **kwargs) if change else self.add_form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what is asked for where one is added."""
        if obj is None:
            return ((None, {"fields": ("curated", "name", "wanted_revision", "fetch")}),)
        return super().get_fieldsets(request, obj)

    def save_model(self, request: HttpRequest, obj: HubNetwork, form: Any, change: bool) -> None:
        """Add a network, and have it fetched if that is wanted."""
        values = form.cleaned_data
        network = add_network(name=values["name"], revision=values["wanted_revision"], by=request.user)
        obj.__dict__.update(network.__dict__)
        if values["fetch"] and self.has_operate_permission(request):
            fetch_network(network=network, by=request.user)
            self.message_user(request, f"{network.name} is being fetched.", messages.INFO)

    def describe(self, row: HubNetwork) -> str:
        """Say what would be fetched, under which licence."""
        size = filesizeformat(row.size) if row.size else "size not known yet"
        return f"{size}, licence: {row.license or 'not known yet, look at its page on the hub'}"

    @admin.display(description="reads", ordering="task_type")
    def reads(self, network: HubNetwork) -> str:
        """Say whether it takes images or texts."""
        return str(network.get_task_type_display())

    @admin.display(description="size", ordering="size")
    def bytes(self, network: HubNetwork) -> str:
        """Write the size for people."""
        return filesizeformat(network.size) if network.size else "–"

    @admin.display(description="on the hub")
    def hub_page(self, network: HubNetwork) -> str:
        """Lead to its page there, which has the licence in full."""
        address = f"{hub_address()}/{network.repository}"
        return format_html(
            '<a href="{}" class="admin-link" rel="noopener noreferrer">{}</a>', address, address
        )

    @admin.display(description="state")
    def state_label(self, network: Any) -> str:
        """Show the state in its colour."""
        return label(network.state, STATES)

    @admin.display(description="arrived")
    def arrived(self, network: Any) -> str:
        """Say how far a fetch is."""
        if network.state not in UNDER_WAY or not network.fetch_total:
            return "–"
        done, total = filesizeformat(network.fetch_done), filesizeformat(network.fetch_total)
        return f"{_percent(network)} %, {done} of {total}"

    @admin.display(description="arrived")
    def progress(self, network: Any) -> str:
        """Show how far a fetch is as a bar."""
        if network.state not in UNDER_WAY or not network.fetch_total:
            return "–"
        bar = '<progress class="admin-progress" max="100" value="{}" aria-label="{}"></progress>{}'
        said = self.arrived(network)
        return format_html(bar, _percent(network), said, said)

    @admin.display(description="message")
    def message(self, network: Any) -> str:
        """Say why the last fetch failed or waits, and what to do."""
        return network.fetch_message or "–"

    @admin.display(description="fetched", ordering="fetched_at")
    def fetched(self, network: HubNetwork) -> str:
        """Write when it came."""
        return when(network.fetched_at) or "–"

    @admin.display(description="added")
    def added(self, network: HubNetwork) -> str:
        """Write when it was added, and by whom."""
        by = link_to(network.added_by) if network.added_by else "the shell or the environment"
        return format_html("{} by {}", when(network.created_at), by)

    @admin.display(description="SHA-256")
    def checksums(self, network: HubNetwork) -> str:
        """List the files with what each has to be."""
        rows = ((name, filesizeformat(file["size"]), file["sha256"]) for name, file in network.files.items())
        lines = '<div class="admin-break">{}, {}: {}</div>'
        return format_html_join("", lines, rows) or "Nothing is pinned before the first fetch."

    @admin.display(description="fetches")
    def attempts(self, network: HubNetwork) -> str:
        """List the latest fetches, who wanted them and how they ended."""
        rows = (
            (
                when(fetch.created_at),
                fetch.requested_by or "the shell or the environment",
                fetch.get_state_display(),
                fetch.message,
            )
            for fetch in network.fetches.select_related("requested_by").order_by("-pk")[:ATTEMPTS_SHOWN]
        )
        return format_html_join("", "<div>{}, for {}: {}. {}</div>", rows) or "none"

    @confirmed(
        Confirmation(
            title="Fetch",
            does="A worker fetches the files from the hub and shares them with all others.",
            undo="A fetch can be cancelled, a network can be removed.",
            done="Being fetched.",
            fits=lambda network: network.state in ("not fetched", "failed"),
            needs="networks that are not here and not being fetched",
        ),
        permission="operate",
        icon="download",
    )
    def fetch(self, request: HttpRequest, network: HubNetwork, values: FormValues) -> None:
        """Have a network fetched."""
        fetch_network(network=network, by=request.user)

    @confirmed(
        Confirmation(
            title="Cancel the fetch",
            does="The worker stops, and what has arrived is deleted.",
            undo="It can be fetched again, from the beginning.",
            done="Cancelled.",
            fits=lambda network: network.state in ("waits", "fetching"),
            needs="networks that are being fetched",
        ),
        permission="operate",
        icon="cancel",
    )
    def cancel(self, request: HttpRequest, network: HubNetwork, values: FormValues) -> None:
        """End the fetch of a network."""
        cancel_fetch(network=network)

    @confirmed(
        Confirmation(
            title="Remove",
            does="Its files in the bucket go. Models that were trained with it stay, and no new ones can be trained.",
            undo="",
            done="Removed.",
            fits=lambda network: network.state not in UNDER_WAY,
            needs="networks that are not being fetched",
            deletes=True,
        ),
        permission="remove",
        icon="delete",
    )
    def remove(self, request: HttpRequest, network: HubNetwork, values: FormValues) -> None:
        """Remove a network that no unfinished job trains."""
        remove_network(network=network)
