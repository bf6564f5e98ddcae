"""Addresses below /api/v1/."""

from rest_framework.routers import SimpleRouter

from . import examples
from .views import DatasetViewSet, JobViewSet

router = SimpleRouter()
router.register("datasets", DatasetViewSet, basename="api-dataset")
router.register("jobs", JobViewSet, basename="api-job")

urlpatterns = [*examples.urlpatterns, *router.urls]
