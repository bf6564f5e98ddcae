"""What the mirror remembers of each document, and the changes it still has to publish."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models


class Document(models.Model):
    """One document: when it was last published, what went wrong, who is writing it now."""

    key = models.CharField(max_length=64, primary_key=True)
    base = models.JSONField(default=dict, editable=False)
    etag = models.CharField(max_length=128, blank=True)
    revision = models.PositiveBigIntegerField(default=0)
    published_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    failed_at = models.DateTimeField(null=True)
    writer = models.CharField(max_length=64, blank=True)
    writer_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.key

    @classmethod
    def acquire(cls, key: str, *, writer: str, now: datetime, until: datetime) -> bool:
        """Become the document's only writer; False when somebody else is.

        A lease and not a row lock: the write may take as long as the bucket does, and SQLite knows
        one writing transaction only. Should a stopped writer wake after its lease, the conditional
        write makes it read and merge again.
        """
        cls.objects.get_or_create(key=key)
        free = models.Q(writer="") | models.Q(writer_until__lt=now)
        return bool(cls.objects.filter(free, key=key).update(writer=writer, writer_until=until))

    @classmethod
    def release(cls, key: str, *, writer: str, **changes: Any) -> None:
        """Let go of the document and note how it went."""
        cls.objects.filter(key=key, writer=writer).update(writer="", writer_until=None, **changes)


class OutboxEntry(models.Model):
    """A change that was committed and is not yet in its document."""

    document = models.CharField(max_length=64)
    entry = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "unpublished change"
        indexes = [models.Index(fields=["document", "id"])]
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.document} {self.entry}".strip()
