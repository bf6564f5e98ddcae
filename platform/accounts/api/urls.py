"""Addresses below /api/v1/."""

from django.urls import path

from .views import ApiTokensView, ApiTokenView

urlpatterns = [
    path("tokens/", ApiTokensView.as_view(), name="api-token-list"),
    path("tokens/<str:id>/", ApiTokenView.as_view(), name="api-token-detail"),
]
