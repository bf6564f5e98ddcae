"""The metrics of /metrics: apps register functions, which read the database at each scrape.

Numbers that only a process knows (how long its predictions took) are ordinary prometheus_client
metrics; gunicorn's configuration makes its processes share them.
"""

import os
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import REGISTRY, Metric
from prometheus_client.registry import Collector

Read = Callable[[], Iterable[Metric]]
_sources: list[Read] = []


def register(read: Read) -> None:
    """Add metrics that are read from the database; called once, while an app becomes ready."""
    _sources.append(read)


class _DatabaseCollector(Collector):
    """The registered metrics."""

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, read from the database now."""
        for read in _sources:
            yield from read()


def exposition() -> bytes:
    """Return all metrics in Prometheus's text format, those of all processes of this server."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        own = generate_latest(registry)
    else:
        own = generate_latest(REGISTRY)
    shared = CollectorRegistry()
    shared.register(_DatabaseCollector())
    return own + generate_latest(shared)
