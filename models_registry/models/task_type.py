"""What is classified; the words of the documents."""

from django.db import models

from ..artifacts.metadata import IMAGE_CLASSIFICATION, TEXT_CLASSIFICATION


class TaskType(models.TextChoices):
    """What is classified; the words of the documents."""

    IMAGE = IMAGE_CLASSIFICATION, "Images"
    TEXT = TEXT_CLASSIFICATION, "Texts"
