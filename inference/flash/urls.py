"""Flash's addresses of calls that use a model; without a slash at their end, as its clients know them."""

from django.urls import path

from .views import DownloadView, FileView, InferenceView

urlpatterns = [
    path("inference", InferenceView.as_view(), name="inference"),
    path("download", DownloadView.as_view(), name="download"),
    path("files/<str:signed>/<str:name>", FileView.as_view(), name="file"),
]
