"""Admin pages of users and groups, in the look of the rest of the admin."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from .models import User

THEIRS = (
    ("training_trainingjob", "jobs"),
    ("models_registry_registeredmodel", "models"),
    ("training_dataset", "data sets"),
    ("inference_batch", "batches"),
)

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):
    """People, their rights, when they were last here."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "last_login", "date_joined")
    date_hierarchy = "date_joined"
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")
    readonly_fields = ("belongings",)
    fieldsets = (*(BaseUserAdmin.fieldsets or ()), ("What is theirs", {"fields": ("belongings",)}))

    @admin.display(description="jobs, models, data")
    def belongings(self, person: User) -> str:
        """Lead to what belongs to somebody."""
        links = (
            (words, f"{reverse(f'admin:{page}_changelist')}?owner__id__exact={person.pk}")
            for page, words in THEIRS
        )
        return format_html_join(", ", '<a href="{1}" class="admin-link">{0}</a>', links)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    """Sets of rights."""
