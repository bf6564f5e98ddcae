"""Addresses of the pages of evaluations and comparisons."""

from django.urls import path

from . import compare, evaluations, expiring

app_name = "evaluations"

VERSIONS = "projects/<uuid:public_id>/versions"
ONE = f"{VERSIONS}/evaluations/<uuid:identifier>"

urlpatterns = [
    path("expiring/", expiring.expiring, name="expiring"),
    path("expiring/<int:pk>/keep/", expiring.keep, name="keep"),
    path(f"{VERSIONS}/compare/", compare.compare_page, name="compare"),
    path(f"{VERSIONS}/compare/news/", compare.compare_fragment, name="compare-fragment"),
    path(f"{VERSIONS}/evaluations/", evaluations.evaluation_list, name="evaluations"),
    path(f"{ONE}/", evaluations.evaluation_page, name="evaluation"),
    path(f"{ONE}/news/", evaluations.evaluation_fragment, name="evaluation-fragment"),
    path(f"{ONE}/answers/", evaluations.answers, name="answers"),
    path(f"{ONE}/photo/<str:sha256>/", evaluations.photo, name="photo"),
    path(f"{ONE}/cancel/", evaluations.cancel, name="cancel"),
    path(f"{ONE}/delete/", evaluations.delete, name="delete"),
]
