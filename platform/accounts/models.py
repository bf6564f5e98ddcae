"""The user of the platform: Django's own, kept as a table of ours so that it can grow."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Signs in by name or by e-mail address."""
