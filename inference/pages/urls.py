"""Addresses of the pages of models."""

from django.urls import path
from django.views.generic import RedirectView

from . import batches as batches
from . import models, projects

app_name = "inference"

urlpatterns = [
    path("projects/", projects.project_list, name="projects"),
    path("projects/<uuid:public_id>/", projects.overview, name="project"),
    path("projects/<uuid:public_id>/versions/", projects.versions, name="versions"),
    path("projects/<uuid:public_id>/use/", projects.use, name="use"),
    path("projects/<uuid:public_id>/settings/", projects.project_settings, name="project-settings"),
    path("projects/<uuid:public_id>/promote/", projects.promote, name="promote"),
    path("projects/<uuid:public_id>/rollback/", projects.go_back, name="rollback"),
    path("projects/<uuid:public_id>/versions/name/", projects.name_version, name="name-version"),
    path("projects/<uuid:public_id>/serve/", projects.give_back, name="serve-again"),
    path("projects/<uuid:public_id>/delete/", projects.delete, name="delete-project"),
    path(
        "models/", RedirectView.as_view(pattern_name="inference:projects", query_string=True), name="models"
    ),
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
