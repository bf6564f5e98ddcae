"""Flash's addresses of calls about trainings; without a slash at their end, as its clients know them."""

from django.urls import path

from .views import CheckView, StatusView, TrainView

urlpatterns = [
    path("status", StatusView.as_view(), name="status"),
    path("train", TrainView.as_view(), name="train"),
    path("check", CheckView.as_view(), name="check"),
]
