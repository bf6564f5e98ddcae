"""Addresses below /api/v1/."""

from rest_framework.routers import SimpleRouter

from .views import DatasetViewSet, JobViewSet

router = SimpleRouter()
router.register("datasets", DatasetViewSet, basename="api-dataset")
router.register("jobs", JobViewSet, basename="api-job")

urlpatterns = router.urls
