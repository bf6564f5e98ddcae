"""The one Celery application: who announces work, who runs it and who watches the broker take it from here.

Celery's `current_app` is no way to it. In a thread it is whatever was made the default, and an application that is
made before Django's settings are named stays without them and talks to a broker on localhost. This module refuses
to be imported that early, makes its application the default of every thread, and finds out what would overrule it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog
from celery import Celery, signals
from celery.app import app_or_default
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.exceptions import ImproperlyConfigured
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu import Connection

from ..observability import health

logger = structlog.get_logger(__name__)

ANSWERS_WITHIN = 2  # seconds, when asked whether it is well
CONFIRMS_WITHIN = 3  # seconds for RabbitMQ to say that it has a message
PARTS = (
    "transport",
    "hostname",
    "port",
    "userid",
    "password",
    "virtual_host",
    "alternates",
    "transport_options",
)
# Celery puts these before the settings.
OVERRULING = ("CELERY_BROKER_WRITE_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_URL")

if not os.environ.get(ENVIRONMENT_VARIABLE):
    raise ImproperlyConfigured(
        f"core.queue.app was imported before {ENVIRONMENT_VARIABLE} was set, so that Celery would not find Django. "
        "Set it in the entry point, before anything else is imported."
    )

app = Celery("trainyard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)
app.set_default()


@signals.setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Receive the signal, so that Celery leaves logging as the settings configured it."""


def send_hint(task: str, row_id: int, *, queue: str) -> bool:
    """Tell the workers of a queue that a row waits; False when the broker did not take the message.

    The task is named and not imported: its module leads to what runs it, of which a web process stays free. Whatever
    the broker's client raises, the row is kept, and `reconcile` sends the hint again.
    """
    try:
        app.send_task(task, args=(row_id,), queue=queue, confirm_timeout=CONFIRMS_WITHIN)
    except Exception as error:
        logger.warning("queue.hint_not_sent", task=task, row=row_id, error=repr(error))
        return False
    return True


def look_at_broker() -> None:
    """Open a connection to the broker. Raises what its client raises."""
    with app.connection_for_write(connect_timeout=ANSWERS_WITHIN) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWERS_WITHIN)


def why_unheard(announced_at: datetime | None) -> str:
    """Return why a queued row was not announced, as a sentence for its owner; "" if it was, or will be at once."""
    if announced_at is not None or health.examine("broker")["broker"] == health.OK:
        return ""
    return (
        "The message queue does not answer, so no worker knows of this yet. It is kept, and starts by itself as soon "
        "as the queue is back."
    )


def find_broker_problem() -> str:
    """Return why a thread that has just begun would not use the configured broker; "" when it would.

    A thread of its own asks: those of a web server are not the one that has set everything up.
    """
    with ThreadPoolExecutor(max_workers=1) as fresh:
        return fresh.submit(_find_problem_here).result()


def require_configured_broker() -> None:
    """Raise `ImproperlyConfigured` when this process would announce work where no worker listens."""
    if problem := find_broker_problem():
        raise ImproperlyConfigured(problem)


def _find_problem_here() -> str:
    default = app_or_default()
    if default is not app:
        return (
            f"Celery's default application is {default.main or default!r} and not core.queue.app.app. "
            "Remove what makes another one (Celery(…), set_default, set_current)."
        )
    try:
        configured = _parts(
            Connection(
                settings.CELERY_BROKER_URL,
                transport=settings.CELERY_BROKER_TRANSPORT,
                transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS,
            )
        )
        used = [app.connection_for_write(), app.connection_for_read()]
    except Exception as error:  # a transport that is not known or not installed, an address that is none
        return f"CELERY_BROKER_URL cannot be used: {error} Write amqp://…, redis://… or filesystem://localhost//."
    for connection in used:
        if _parts(connection) != configured:
            overruling = ", ".join(name for name in OVERRULING if os.environ.get(name)) or "none is set"
            return (
                f"The broker would be {connection.as_uri()}, and the settings name another one. Variables that "
                f"Celery puts before the settings: {overruling}. Set CELERY_BROKER_URL alone."
            )
    return ""


def _parts(connection: Connection) -> dict[str, object]:
    """Return the parts of an address that name a broker; its transport has to be installed."""
    connection.get_transport_cls()
    info = connection.info()
    return {part: info[part] for part in PARTS}
