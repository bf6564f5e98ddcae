"""The tables of documents: their base, published entries, outbox, overruled changes."""

from __future__ import annotations

from datetime import datetime

from django.db import models, transaction

from core.models import SingletonModel

from .serialise import NAME_LENGTH


class Document(models.Model):
    """One document: as we last knew it, when it was last published, what went wrong, who writes it now."""

    key = models.CharField(max_length=64, primary_key=True)
    base = models.TextField(
        blank=True,
        editable=False,
        help_text="The document as we last knew it, as JSON; the entries of inference.json have their own rows.",
    )
    etag = models.CharField(max_length=128, blank=True, help_text="Of the document as we last knew it.")
    sent = models.TextField(
        blank=True,
        editable=False,
        help_text="What a write held that may have landed: digests of its fields, by entry, as JSON.",
    )
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes, when it was last written.")
    store = models.CharField(
        max_length=255, blank=True, help_text="Where the document as we last knew it lies."
    )
    rejected_etag = models.CharField(
        max_length=128, blank=True, help_text="Of a version that cannot be used and was left as it is."
    )
    rejected_because = models.TextField(blank=True)
    revision = models.PositiveBigIntegerField(default=0)
    published_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    failed_at = models.DateTimeField(null=True)
    writer = models.CharField(max_length=128, blank=True)
    writer_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.key

    @classmethod
    def acquire(cls, key: str, *, writer: str, now: datetime, until: datetime) -> bool:
        """Become the document's only writer; False when another process is.

        A lease and not a row lock: the write may take as long as the bucket does, and SQLite knows
        one writing transaction only. Should a stopped writer wake after its lease, the conditional
        write makes it read and merge again, and `note` refuses what it would note.
        """
        cls.objects.get_or_create(key=key)
        free = models.Q(writer="") | models.Q(writer_until__lt=now)
        return bool(cls.objects.filter(free, key=key).update(writer=writer, writer_until=until))

    @classmethod
    def move_to(cls, key: str, *, store: str) -> None:
        """Forget what is known of the document when it lies in another bucket now.

        What others had in the old one is not missing from the new one, and what they have in the new
        one is news.
        """
        moved = cls.objects.filter(key=key).exclude(store=store)
        if moved.exists():
            with transaction.atomic():
                PublishedEntry.objects.filter(document=key).delete()
                moved.update(store=store, etag="", base="", sent="", rejected_etag="", published_at=None)

    @classmethod
    def note(cls, key: str, *, writer: str, **changes: object) -> bool:
        """Update the row under the lease; returns False, and changes nothing, if another process holds it."""
        return bool(cls.objects.filter(key=key, writer=writer).update(**changes))

    @classmethod
    def release(cls, key: str, *, writer: str, **changes: object) -> None:
        """Release the lease and record the outcome."""
        changes |= {"writer": "", "writer_until": None}
        cls.objects.filter(key=key, writer=writer).update(**changes)


class PublishedEntry(models.Model):
    """An entry of a document as we last knew it there, kept as the text that stands in it."""

    document = models.CharField(max_length=64)
    name = models.CharField(
        max_length=NAME_LENGTH, help_text="The entry's token, or a digest of an unusual one."
    )
    text = models.TextField()
    digest = models.CharField(max_length=32)
    writes = models.TextField(
        blank=True,
        editable=False,
        help_text="Our writes of the entry that others may not have seen yet: when, and what stood there before.",
    )
    problem = models.TextField(
        blank=True, help_text="Why the entry, which others wrote, is not one of our models; empty for ours."
    )

    class Meta:
        verbose_name = "published entry"
        verbose_name_plural = "published entries"
        constraints = [models.UniqueConstraint(name="entry_once_in_a_document", fields=["document", "name"])]
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name


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


class BucketCheck(SingletonModel):
    """What a probe of the bucket found when it was last made."""

    store = models.CharField(max_length=255, blank=True)
    enforced = models.BooleanField(null=True, help_text="Conditional writes are refused when they should be.")
    message = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.message


class OverruledChange(models.Model):
    """A change that lost, because the same thing was changed on the other side and that side owns it."""

    class Winner(models.TextChoices):
        """The side whose value stands."""

        DATABASE = "database", "the database"
        DOCUMENT = "document", "the document"

    document = models.CharField(max_length=64)
    entry = models.CharField(max_length=NAME_LENGTH, blank=True)
    field = models.CharField(max_length=80, blank=True, help_text="Empty: the whole entry.")
    value = models.TextField(help_text="What lost, as JSON.")
    winner = models.CharField(max_length=8, choices=Winner)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = "overruled change"
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.document} {self.entry} {self.field}".strip()
