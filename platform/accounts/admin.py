"""Admin pages of users, groups, e-mail addresses and API tokens."""

from collections.abc import Iterator
from typing import Any

from allauth.account.admin import EmailAddressAdmin as BaseEmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import PROTECT, Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from knox.admin import AuthTokenAdmin as _TheirTokenAdmin  # noqa: F401 - registers itself
from knox.models import AuthToken
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from core.admin.base import MachineOwnedAdmin, moment_column, when
from core.admin.confirmation import Confirmation, FormValues, confirmed
from core.admin.lookups import NamedLookups

from .models import User

THEIRS = (
    ("training_trainingjob", "jobs"),
    ("models_registry_registeredmodel", "models"),
    ("training_dataset", "data sets"),
    ("inference_batch", "batches"),
)

for model in (Group, AuthToken, EmailAddress):  # ours take their places
    admin.site.unregister(model)


class TickBoxes:
    """Sets of rights as boxes to tick: Django's pair of lists needs a mouse, and is no good on a phone."""

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        boxes = UnfoldAdminCheckboxSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, widget=boxes, **kwargs)  # type: ignore[misc]


@admin.register(User)
class UserAdmin(TickBoxes, BaseUserAdmin, NamedLookups):
    """Users: rights, last sign-in, and what belongs to them."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "last_login", "date_joined")
    date_hierarchy = "date_joined"
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")
    readonly_fields = ("belongings",)
    filter_horizontal = ()
    fieldsets = (*(BaseUserAdmin.fieldsets or ()), ("What is theirs", {"fields": ("belongings",)}))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow deletion of users only to whom no rows belong; other accounts are deactivated instead."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and not (isinstance(obj, User) and any(_rows_of(obj)))

    @admin.display(description="jobs, models, data")
    def belongings(self, person: User) -> str:
        """Return links to the lists of the user's rows."""
        links = (
            (words, f"{reverse(f'admin:{page}_changelist')}?owner__id__exact={person.pk}")
            for page, words in THEIRS
        )
        return format_html_join(", ", '<a href="{1}" class="admin-link">{0}</a>', links)


def _rows_of(person: User) -> Iterator[bool]:
    """Yield for each kind of rows that protect their owner whether there are some."""
    for relation in User._meta.related_objects:
        if relation.on_delete is PROTECT:
            yield relation.related_model._base_manager.filter(**{relation.field.name: person}).exists()


@admin.register(Group)
class GroupAdmin(TickBoxes, BaseGroupAdmin, NamedLookups):
    """Sets of rights."""

    filter_horizontal = ()


@admin.register(EmailAddress)
class EmailAddressAdmin(BaseEmailAddressAdmin, NamedLookups):
    """Addresses that people sign in with."""


@admin.register(AuthToken)
class AuthTokenAdmin(MachineOwnedAdmin):
    """API tokens, of which only hashes are stored. Users create them; users and staff revoke them."""

    list_display = ("token_key", "user", "made", "ends")
    list_select_related = ("user",)
    search_start = "token_key"
    search_help_text = "Beginning of the token"
    ordering = ("-created",)
    fields = ("token_key", "user", "made", "ends")
    actions = ("revoke",)
    actions_detail = ("revoke",)

    def describe(self, row: AuthToken) -> str:
        """Return the token's user and its date."""
        return f"of {row.user}, from {when(row.created)}"

    made = moment_column("created", "created")

    ends = moment_column("expiry", "expires", never="never")

    @confirmed(
        Confirmation(
            title="Revoke",
            does="Programs that use them are refused from now on.",
            undo="",
            done="Revoked.",
            deletes=True,
        ),
        permission="remove",
        icon="key_off",
    )
    def revoke(self, request: HttpRequest, token: AuthToken, values: FormValues) -> None:
        """Revoke a token."""
        token.delete()
