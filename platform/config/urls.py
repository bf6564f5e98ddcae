"""Addresses of the platform."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from core.pages.views import health, home, live, metrics
from inference.flash.urls import urlpatterns as flash_inference_urls
from training.flash.urls import urlpatterns as flash_training_urls

urlpatterns = [
    path("api/v1/", include("inference.api.urls")),
    path("", home, name="home"),
    path("health/", health, name="health"),
    path("health/live/", live, name="health-live"),
    path("metrics", metrics, name="metrics"),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg", permanent=True)),
    path("accounts/", include("accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/v1/docs/",
        SpectacularSwaggerSplitView.as_view(template_name="api_docs.html", throttle_classes=()),
        name="api-docs",
    ),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("training.api.urls")),
    path("api/v1/", include("evaluations.api.urls")),
    path("flash/", include(([*flash_training_urls, *flash_inference_urls], "flash"))),
    path("", include("training.pages.urls")),
    path("", include("inference.pages.urls")),
    path("", include("evaluations.pages.urls")),
]

handler400 = "core.http.error_views.bad_request"
handler403 = "core.http.error_views.permission_denied"
handler404 = "core.http.error_views.page_not_found"
handler500 = "core.http.error_views.server_error"
