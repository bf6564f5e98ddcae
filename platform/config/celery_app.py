"""The Celery application: `celery -A config.celery_app worker` or `manage.py worker`."""

from celery import Celery
from django_structlog.celery.steps import DjangoStructLogInitStep

app = Celery("trainyard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)
