"""Counts of usage: kept in the memory of each process, added to the table every few seconds.

A prediction only adds to a few numbers, and never waits for the database. A process that is killed loses
its last seconds; one that ends writes them first.
"""

import atexit
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from models_registry.lifetimes import note_use
from models_registry.models import RegisteredModel

from .models import ModelUsage

logger = structlog.get_logger(__name__)

BUCKETS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)  # milliseconds; what took longer has one more
KEPT = timedelta(days=400)
DAYS_SHOWN = 30
LABELS_SHOWN = 8
BAR = 100  # height of the tallest day

Key = tuple[int, date]


@dataclass
class UsageCount:
    """Uses of one model on one day that are not in the table yet."""

    calls: int = 0
    inputs: int = 0
    milliseconds: float = 0.0
    slowest: float = 0.0
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    labels: Counter[str] = field(default_factory=Counter)
    last_used_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add_call(self, milliseconds: float) -> None:
        """Count one call and its time."""
        self.calls += 1
        self.milliseconds += milliseconds
        self.slowest = max(self.slowest, milliseconds)
        self.latencies[bisect_left(BUCKETS, milliseconds)] += 1

    def add_labels(self, labels: Sequence[str]) -> None:
        """Count the predictions of a call, or of a batch."""
        self.inputs += len(labels)
        self.labels.update(labels)
        self.last_used_at = datetime.now(UTC)

    def merge(self, other: "UsageCount") -> None:
        """Add the counts of the same model and day."""
        self.calls += other.calls
        self.inputs += other.inputs
        self.milliseconds += other.milliseconds
        self.slowest = max(self.slowest, other.slowest)
        self.latencies = [mine + theirs for mine, theirs in zip(self.latencies, other.latencies, strict=True)]
        self.labels.update(other.labels)
        self.last_used_at = max(self.last_used_at, other.last_used_at)


class UsageRecorder:
    """Counts in memory; a thread of its own calls `write` every so often. Safe to use from many threads."""

    def __init__(self, write: Callable[[Mapping[Key, UsageCount]], None], *, every: timedelta) -> None:
        """Without a period (zero) nothing is written until `flush` is called."""
        self._write = write
        self._every = every.total_seconds()
        self._lock = threading.Lock()
        self._counts: dict[Key, UsageCount] = {}
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def record(self, model_id: int, labels: Sequence[str], *, milliseconds: float | None = None) -> None:
        """Count predictions of a model; with `milliseconds` they were one call."""
        key = (model_id, datetime.now(UTC).date())
        with self._lock:
            count = self._counts.setdefault(key, UsageCount())
            count.add_labels(labels)
            if milliseconds is not None:
                count.add_call(milliseconds)
            if self._thread is None and self._every:
                self._start()

    def flush(self) -> None:
        """Write what was counted; what cannot be written now is kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            self._write(counts)
        except Exception as error:  # the database is away
            logger.warning("usage.kept_for_later", models=len(counts), error=repr(error))
            with self._lock:
                for key, count in counts.items():
                    self._counts.setdefault(key, UsageCount(last_used_at=count.last_used_at)).merge(count)

    def close(self) -> None:
        """Write the counts and end the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.flush()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self.flush()
            connection.close()


@lru_cache(maxsize=1)
def usage_recorder() -> UsageRecorder:
    """Return the recorder of this process."""
    return UsageRecorder(write_usage, every=settings.TRAINYARD["USAGE_EVERY"])


@transaction.atomic
def write_usage(counts: Mapping[Key, UsageCount]) -> None:
    """Add counts to the table; in the same order everywhere, so that no two writers wait for each other."""
    known = set(RegisteredModel.objects.filter(pk__in={pk for pk, _ in counts}).values_list("pk", flat=True))
    for (model_id, day), count in sorted(counts.items()):
        if model_id not in known:
            continue
        ModelUsage.objects.bulk_create(
            [ModelUsage(model_id=model_id, day=day, last_used_at=count.last_used_at)], ignore_conflicts=True
        )
        row = ModelUsage.objects.select_for_update().get(model_id=model_id, day=day)
        total = _count_of(row)
        total.merge(count)
        for name, value in vars(total).items():
            setattr(row, name, value)
        row.save()
    used: dict[int, datetime] = {}
    for (model_id, _), count in counts.items():
        used[model_id] = max(used.get(model_id, count.last_used_at), count.last_used_at)
    note_use({model_id: at for model_id, at in used.items() if model_id in known})


def delete_old_usage() -> None:
    """Delete the rows of days that are older than usage is kept."""
    ModelUsage.objects.filter(day__lt=timezone.now().date() - KEPT).delete()


@dataclass(frozen=True)
class Day:
    """A day's calls, and how tall its bar is (0 to 100)."""

    day: date
    calls: int
    height: float

    @property
    def top(self) -> float:
        """The bar's distance from the top, 0 to 100."""
        return BAR - self.height


@dataclass(frozen=True)
class UsageSummary:
    """The usage that a model's page shows. Times are milliseconds, label shares percent."""

    calls: int
    inputs: int
    mean: float
    slowest: float
    p50_ms: int | None
    p95_ms: int | None  # 95 of 100
    last_used_at: datetime
    labels: list[tuple[str, float]]
    days: list[Day]


def usage_of(model: RegisteredModel) -> UsageSummary | None:
    """Sum up a model's use; None when it was never used."""
    rows = list(ModelUsage.objects.filter(model=model).order_by("day"))
    if not rows:
        return None
    total = _count_of(rows[0])
    for row in rows[1:]:
        total.merge(_count_of(row))
    return UsageSummary(
        calls=total.calls,
        inputs=total.inputs,
        mean=total.milliseconds / total.calls if total.calls else 0.0,
        slowest=total.slowest,
        p50_ms=quantile(total.latencies, 0.5),
        p95_ms=quantile(total.latencies, 0.95),
        last_used_at=total.last_used_at,
        labels=[(name, 100 * count / total.inputs) for name, count in total.labels.most_common(LABELS_SHOWN)],
        days=_days({row.day: row.calls for row in rows}),
    )


def quantile(latencies: Sequence[int], share: float) -> int | None:
    """Return the bound of the bucket in which that share of the calls has ended; None beyond the last."""
    wanted, seen = share * sum(latencies), 0
    for bound, count in zip(BUCKETS, latencies, strict=False):
        seen += count
        if seen >= wanted > 0:
            return bound
    return None


def _days(calls: Mapping[date, int]) -> list[Day]:
    today = timezone.now().date()
    shown = [today - timedelta(days=ago) for ago in reversed(range(DAYS_SHOWN))]
    most = max([calls.get(day, 0) for day in shown] + [1])
    return [Day(day, calls.get(day, 0), round(BAR * calls.get(day, 0) / most, 1)) for day in shown]


def _count_of(row: ModelUsage) -> UsageCount:
    return UsageCount(
        calls=row.calls,
        inputs=row.inputs,
        milliseconds=row.milliseconds,
        slowest=row.slowest,
        latencies=list(row.latencies) or [0] * (len(BUCKETS) + 1),
        labels=Counter(row.labels),
        last_used_at=row.last_used_at,
    )
