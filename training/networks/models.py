"""Networks of the hub that were added, and the work of fetching each."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q, Subquery

from core.indexes import PrefixIndex
from core.models import TimestampedModel
from models_registry.models import TaskType
from work.models import LeasedQuerySet, LeasedWork

from ..engine.catalogue import HUB, TIMM
from ..engine.weights_files import stored_name
from ..task_names import FETCH_NETWORK

FETCH_COLUMNS = ("state", "done", "total", "message", "finished_at")
PREFIX = "pretrained/"  # where files of networks lie in the bucket


class NetworkQuerySet(models.QuerySet["HubNetwork"]):
    """Questions about networks."""

    def ready(self) -> NetworkQuerySet:
        """Those whose files lie in the bucket."""
        return self.filter(fetched_at__isnull=False)

    def with_last_fetch(self) -> NetworkQuerySet:
        """Know of each how its last fetch went."""
        last = NetworkFetch.objects.filter(network=OuterRef("pk")).order_by("-pk")
        columns = {f"fetch_{name}": Subquery(last.values(name)[:1]) for name in FETCH_COLUMNS}
        return self.annotate(**columns)


class HubNetwork(TimestampedModel):
    """A network of the Hugging Face hub. The first fetch pins its revision and the SHA-256 of its files."""

    name = models.CharField(max_length=130, unique=True, help_text="timm/NETWORK.TAG, or hf/OWNER/ENCODER.")
    task_type = models.CharField(max_length=24, choices=TaskType, editable=False)
    license = models.CharField("licence", max_length=100, blank=True, editable=False)
    knows = models.CharField("trained on", max_length=200, blank=True, editable=False)
    size = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="Bytes to fetch; 0: not known."
    )
    wanted_revision = models.CharField(
        "revision",
        max_length=100,
        default="main",
        help_text="A branch, tag or commit on the hub. The first fetch pins the commit.",
    )
    revision = models.CharField("pinned commit", max_length=64, blank=True, editable=False)
    files = models.JSONField(
        default=dict, blank=True, editable=False, help_text="The SHA-256 and the size of each file."
    )
    fetched_at = models.DateTimeField(null=True, editable=False)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )

    objects = NetworkQuerySet.as_manager()

    class Meta:
        verbose_name = "network"
        ordering = ("name",)
        indexes = [PrefixIndex(name="hub_network_name_start", fields=["name"])]
        constraints = [
            models.CheckConstraint(name="hub_network_task_known", condition=Q(task_type__in=TaskType.values)),
            models.CheckConstraint(
                name="hub_network_fetched_is_pinned",
                condition=Q(fetched_at__isnull=True) | ~Q(revision=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def repository(self) -> str:
        """What it is called on the hub."""
        return self.name if self.name.startswith(TIMM) else self.name.removeprefix(HUB)

    @property
    def is_ready(self) -> bool:
        """Whether its files lie in the bucket."""
        return self.fetched_at is not None

    @property
    def state(self) -> str:
        """In a word how it stands; for rows of `with_last_fetch`."""
        if self.is_ready:
            return "ready"
        last = getattr(self, "fetch_state", None)
        words = {"queued": "waits", "running": "fetching", "cancelling": "cancelling", "failed": "failed"}
        return words.get(last or "", "not fetched")

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of its files by their names on the hub."""
        return {name: str(file["sha256"]) for name, file in self.files.items()}

    @property
    def stored_files(self) -> dict[str, dict[str, Any]]:
        """Its files by what they are called below pretrained/ in the bucket."""
        return {stored_name(self.repository, name, file["sha256"]): file for name, file in self.files.items()}


class NetworkFetchQuerySet(LeasedQuerySet):
    """What every kind of work is asked, and no more."""


class NetworkFetch(LeasedWork):
    """A worker's fetching of a network's files from the hub into the bucket."""

    TASK = FETCH_NETWORK

    queue = models.CharField(
        max_length=16,
        default="batches",
        editable=False,
        help_text="Not behind trainings, which may take hours.",
    )
    network = models.ForeignKey(HubNetwork, on_delete=models.CASCADE, related_name="fetches")
    done = models.PositiveBigIntegerField(default=0, help_text="Bytes that have arrived.")
    total = models.PositiveBigIntegerField(default=0, help_text="Of how many; 0 where nobody knows before.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects = NetworkFetchQuerySet.as_manager()

    class Meta(LeasedWork.Meta):
        verbose_name = "network fetch"
        verbose_name_plural = "network fetches"
        constraints = [
            *LeasedWork.Meta.constraints,
            models.UniqueConstraint(
                name="networkfetch_one_at_a_time",
                fields=["network"],
                condition=Q(state__in=["queued", "running", "cancelling"]),
            ),
        ]

    def __str__(self) -> str:
        return f"Fetch of {self.network_id}"

    @property
    def percent(self) -> int:
        """How much of it has arrived."""
        return min(100, self.done * 100 // self.total) if self.total else 0
