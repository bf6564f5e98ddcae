"""Addresses of the pages of an account, beside allauth's."""

from django.urls import path

from . import views

app_name = "accounts"

urlpatterns = [
    path("storage/", views.storage, name="storage"),
    path("tokens/", views.api_tokens, name="tokens"),
    path("tokens/<str:key>/revoke/", views.revoke, name="revoke-token"),
]
