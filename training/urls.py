"""Addresses of the pages of data sets and jobs."""

from django.urls import path

from . import views

app_name = "training"

urlpatterns = [
    path("new/", views.new_model, name="new"),
    path("jobs/", views.job_list, name="jobs"),
    path("jobs/<int:pk>/", views.job_page, name="job"),
    path("jobs/<int:pk>/fragment/", views.job_fragment, name="job-fragment"),
    path("jobs/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("jobs/<int:pk>/retry/", views.retry, name="retry"),
]
