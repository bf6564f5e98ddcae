"""Django's admin with this platform's site."""

from django.contrib.admin.apps import AdminConfig as DjangosAdminConfig


class AdminConfig(DjangosAdminConfig):
    """`admin.site` is the site that signs people in where everybody does."""

    default_site = "accounts.site.AdminSite"
