"""The Django project: settings, addresses, servers, queue. No code of the product lives here."""

from .celery_app import app as celery_app

__all__ = ["celery_app"]
