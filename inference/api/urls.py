"""Addresses below /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from . import batches
from .views import DownloadView, PredictView, RegisteredModelViewSet

router = SimpleRouter()
router.register("models", RegisteredModelViewSet, basename="api-model")

urlpatterns = [
    path("models/<str:token>/predict/", PredictView.as_view(), name="api-predict"),
    path("models/<str:token>/download/", DownloadView.as_view(), name="api-model-download"),
    *batches.urlpatterns,
    *router.urls,
]
