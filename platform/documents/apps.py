"""Application configuration."""

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    """The mirror between the database and the bucket."""

    name = "documents"
    verbose_name = "Documents"
