"""Addresses below /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from core.http.middleware import sessionless

from . import batches
from .predict import PredictView
from .projects import ProjectViewSet
from .views import DownloadView, RegisteredModelViewSet

router = SimpleRouter()
router.register("models", RegisteredModelViewSet, basename="api-model")
projects = SimpleRouter(use_regex_path=False)
projects.register("projects", ProjectViewSet, basename="api-project")

urlpatterns = [
    path("models/<str:token>/predict/", sessionless(PredictView.as_view()), name="api-predict"),
    path("models/<str:token>/download/", DownloadView.as_view(), name="api-model-download"),
    *batches.urlpatterns,
    *router.urls,
    *projects.urls,
]
