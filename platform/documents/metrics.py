"""Prometheus metrics of the documents."""

from collections.abc import Iterable

from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily, Metric

from .keys import ALL
from .models import Document, OutboxEntry


def read_metrics() -> Iterable[Metric]:
    """Return how many changes of each document wait, and whether its last publish failed."""
    waiting = GaugeMetricFamily(
        "trainyard_document_changes_waiting",
        "Changes that the bucket does not have yet.",
        labels=["document"],
    )
    failing = GaugeMetricFamily(
        "trainyard_document_failing", "1 when the last publish failed.", labels=["document"]
    )
    counts = dict(OutboxEntry.objects.order_by().values_list("document").annotate(Count("pk")))
    failed = set(Document.objects.exclude(last_error="").values_list("key", flat=True))
    for key in ALL:
        waiting.add_metric([key], counts.get(key, 0))
        failing.add_metric([key], int(key in failed))
    yield waiting
    yield failing
