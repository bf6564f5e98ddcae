"""The Celery application; `manage.py worker` runs it."""

from typing import Any

from celery import Celery, signals
from django_structlog.celery.steps import DjangoStructLogInitStep

app = Celery("trainyard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@signals.setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Celery leaves logging alone when somebody listens here; the settings have set it up."""
