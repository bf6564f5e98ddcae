"""Addresses of the pages of data sets, new models and jobs."""

from django.urls import path

from . import additions, datasets, jobs, new_model, project_data

app_name = "training"

urlpatterns = [
    path("new/", new_model.new_model, name="new"),
    path("new/data/", new_model.upload, name="upload"),
    path("new/sample/", new_model.use_sample, name="sample"),
    path("datasets/", datasets.dataset_list, name="datasets"),
    path("datasets/<int:pk>/", datasets.dataset_page, name="dataset"),
    path("datasets/<int:pk>/progress/", datasets.progress, name="dataset-progress"),
    path("datasets/<int:pk>/delete/", datasets.delete, name="delete-dataset"),
    path("projects/<uuid:public_id>/data/", project_data.data_page, name="project-data"),
    path("projects/<uuid:public_id>/data/edit/", project_data.edit_data, name="edit-data"),
    path("projects/<uuid:public_id>/data/add/", additions.add_data, name="add-data"),
    path("projects/<uuid:public_id>/data/additions/", additions.additions, name="additions"),
    path("projects/<uuid:public_id>/data/camera/", additions.camera, name="camera"),
    path("projects/<uuid:public_id>/data/download/", project_data.download_data, name="download-data"),
    path("projects/<uuid:public_id>/data/train/", project_data.train, name="train-again"),
    path("projects/<uuid:public_id>/data/<int:pk>/photo/", project_data.photo, name="example-photo"),
    path("jobs/", jobs.job_list, name="jobs"),
    path("jobs/<int:pk>/", jobs.job_page, name="job"),
    path("jobs/<int:pk>/fragment/", jobs.job_fragment, name="job-fragment"),
    path("jobs/<int:pk>/cancel/", jobs.cancel, name="cancel"),
    path("jobs/<int:pk>/retry/", jobs.retry, name="retry"),
]
