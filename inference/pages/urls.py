"""Addresses of the pages of models."""

from django.urls import path

from . import batches as batches
from . import models

app_name = "inference"

urlpatterns = [
    path("models/", models.model_list, name="models"),
    path("batches/", batches.batch_list, name="batch-list"),
    path("models/<str:token>/", models.model_page, name="model"),
    path("models/<str:token>/try/", models.try_model, name="try"),
    path("models/<str:token>/download/<str:kind>/", models.download, name="download"),
    path("models/<str:token>/card/", models.describe, name="describe"),
    path("models/<str:token>/keep/", models.keep, name="keep"),
    path("models/<str:token>/retire/", models.retire, name="retire"),
    path("models/<str:token>/restore/", models.restore, name="restore"),
    path("models/<str:token>/batches/", batches.send, name="batches"),
    path("models/<str:token>/batches/<str:identifier>/", batches.batch_page, name="batch"),
    path("models/<str:token>/batches/<str:identifier>/news/", batches.batch_fragment, name="batch-fragment"),
    path("models/<str:token>/batches/<str:identifier>/cancel/", batches.cancel, name="batch-cancel"),
    path("models/<str:token>/batches/<str:identifier>/result/", batches.result, name="batch-result"),
]
