"""Addresses of the pages of models."""

from django.urls import path

from . import views

app_name = "inference"

urlpatterns = [
    path("models/", views.model_list, name="models"),
    path("models/<str:token>/", views.model_page, name="model"),
    path("models/<str:token>/try/", views.try_model, name="try"),
    path("models/<str:token>/download/<str:kind>/", views.download, name="download"),
    path("models/<str:token>/keep/", views.keep, name="keep"),
    path("models/<str:token>/retire/", views.retire, name="retire"),
    path("models/<str:token>/restore/", views.restore, name="restore"),
]
