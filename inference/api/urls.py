"""Addresses below /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from .views import PredictView, RegisteredModelViewSet

router = SimpleRouter()
router.register("models", RegisteredModelViewSet, basename="api-model")

urlpatterns = [
    path("models/<str:token>/predict/", PredictView.as_view(), name="api-predict"),
    *router.urls,
]
