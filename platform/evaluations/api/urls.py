"""Addresses below /api/v1/."""

from django.urls import path

from .expiring import ExpiringView
from .views import (
    AnswersView,
    CancelView,
    ComparisonView,
    EvaluationListView,
    EvaluationView,
)

PROJECT = "projects/<uuid:public_id>"
ONE = f"{PROJECT}/evaluations/<uuid:identifier>"

urlpatterns = [
    path("expiring/", ExpiringView.as_view(), name="api-expiring"),
    path(f"{PROJECT}/evaluations/", EvaluationListView.as_view(), name="api-evaluations"),
    path(f"{ONE}/", EvaluationView.as_view(), name="api-evaluation"),
    path(f"{ONE}/cancel/", CancelView.as_view(), name="api-evaluation-cancel"),
    path(f"{ONE}/answers/", AnswersView.as_view(), name="api-evaluation-answers"),
    path(f"{PROJECT}/compare/", ComparisonView.as_view(), name="api-compare"),
]
