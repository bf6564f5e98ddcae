"""The examples of projects, the edits that people make to them, and the revisions that trainings learn from."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Lower
from django.utils import timezone

from models_registry.models import Project, RegisteredModel

from ..datasets.models import Dataset, DatasetValidation
from ..engine.data.manifest import TEST, TRAIN, UPLOAD, VALIDATION


class Revision(models.Model):
    """An immutable, numbered list of a project's examples: a manifest in the bucket."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    key = models.CharField(max_length=400, unique=True, help_text="Where the manifest lies in the bucket.")
    size = models.PositiveBigIntegerField(help_text="Bytes of the manifest.")
    sha256 = models.CharField(max_length=64)
    examples = models.PositiveIntegerField(help_text="That are learnt from or measured on.")
    counts = models.JSONField(default=dict, help_text="Examples of each part, and those that are excluded.")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    summary = models.CharField(max_length=500, help_text="What was changed since the one before.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(name="revision_number_once", fields=["project", "number"])]

    def __str__(self) -> str:
        return f"{self.project}, revision {self.number}"


class Findings(models.Model):
    """What a training saw of each example, as a file in the bucket; see `engine.seen_examples`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="findings")
    model = models.OneToOneField(RegisteredModel, on_delete=models.CASCADE, related_name="findings")
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, null=True, related_name="findings")
    dataset = models.ForeignKey(
        Dataset, on_delete=models.PROTECT, related_name="+", help_text="Whose examples a first training saw."
    )
    key = models.CharField(max_length=400, unique=True)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    awaited = models.BooleanField(
        default=False, help_text="The examples are listed; what is thought of them is still to come."
    )
    applied_at = models.DateTimeField(null=True, help_text="When the rows of the examples took it over.")
    held_until = models.DateTimeField(
        null=True, help_text="Until when a process that takes it over keeps it, unless it says so again."
    )

    class Meta:
        verbose_name_plural = "findings"
        ordering = ("-id",)
        indexes = [
            models.Index(name="findings_unapplied", fields=["id"], condition=Q(applied_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.key


class FeatureFile(models.Model):
    """Features of some of a project's examples by one network, so that nothing is looked at twice.

    See `engine.feature_cache`. `backbone` is what the network is called in the catalogue, `fingerprint` what decides
    its numbers.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="feature_files")
    backbone = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    key = models.CharField(max_length=400, unique=True)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    examples = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(name="features_by_use", fields=["used_at", "id"])]

    def __str__(self) -> str:
        return self.key


class Edit(models.Model):
    """One change of a project's examples: who, when, what; enough to take it back."""

    class Kind(models.TextChoices):
        """What was done."""

        RELABEL = "relabel", "given another class"
        RENAME = "rename", "class renamed"
        EXCLUDE = "exclude", "excluded"
        RESTORE = "restore", "restored"
        MOVE = "move", "moved to another part"
        CONFIRM = "confirm", "label confirmed"
        ADD = "add", "added"
        UNDO = "undo", "taken back"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="edits")
    number = models.PositiveIntegerField(help_text="Counts the edits of a project.")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=8, choices=Kind)
    summary = models.CharField(max_length=300)
    examples = models.PositiveIntegerField(help_text="How many were changed.")
    changes = models.JSONField(
        help_text="Field, value before, value after, and the examples, for each change."
    )
    undone_by = models.OneToOneField("self", on_delete=models.SET_NULL, null=True, related_name="undoes")
    revision = models.ForeignKey(
        Revision,
        on_delete=models.CASCADE,
        null=True,
        related_name="edits",
        help_text="The first that has it.",
    )

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(name="edit_number_once", fields=["project", "number"])]

    def __str__(self) -> str:
        return self.summary


class Example(models.Model):
    """One photo or text of a project as it is now; the newest revision and the edits since."""

    class Split(models.TextChoices):
        """The part that an example is in, for good."""

        NONE = "", "not placed yet"
        TRAIN = TRAIN, "training"
        VALIDATION = VALIDATION, "validation"
        TEST = TEST, "test"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="examples", db_index=False)
    shard = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="project_examples")
    place = models.TextField(
        help_text="The name of an archive's member, or the number of a table's usable row."
    )
    sha256 = models.CharField(max_length=64)
    label = models.CharField(max_length=200)
    split = models.CharField(max_length=10, choices=Split, blank=True)
    source = models.CharField(max_length=12, default=UPLOAD)
    group = models.CharField(
        max_length=20, blank=True, help_text="Equal for examples that stay on one side of the split."
    )
    excluded = models.BooleanField(default=False)
    confirmed = models.BooleanField(default=False, help_text="Somebody has looked at the label.")
    version = models.PositiveIntegerField(default=0, help_text="Number of the newest edit of it.")
    edited_in = models.PositiveIntegerField(
        default=0, help_text="Number of the edit that gave it its values."
    )
    text = models.TextField(blank=True, help_text="The beginning of a text.")
    searched = models.GeneratedField(
        expression=Lower(Case(When(text="", then=F("place")), default=F("text"))),
        output_field=models.TextField(),
        db_persist=True,
        help_text="What a search looks through, in small letters: to make them for each search takes far longer.",
    )
    offset = models.BigIntegerField(null=True, help_text="Where its header begins in the archive.")
    packed = models.BigIntegerField(null=True, help_text="Bytes in the archive.")
    method = models.PositiveSmallIntegerField(null=True, help_text="Of the archive's compression.")
    given = models.FloatField(
        null=True, help_text="Probability of its label, by a model that did not learn it."
    )
    suggested = models.CharField(max_length=200, blank=True, help_text="The most probable other class.")
    likely = models.FloatField(null=True, help_text="Probability of the suggested class.")
    doubt = models.FloatField(
        null=True, help_text="How certain it is that the label is wrong; null: it looks right."
    )
    near_copy_of = models.CharField(
        max_length=20, blank=True, help_text="Equal for near copies of one another; empty: it has none."
    )
    likeness = models.FloatField(
        null=True, help_text="How alike the two most alike of its near copies are, 0 to 1."
    )
    oddness = models.FloatField(
        null=True, help_text="How far it is from those nearest to it, where that is odd; null: it is not."
    )

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(name="example_once", fields=["project", "shard", "place"]),
            models.CheckConstraint(
                name="example_split_known", condition=Q(split__in=["", "train", "validation", "test"])
            ),
        ]
        indexes = [
            models.Index(name="example_of_project", fields=["project", "id"]),
            models.Index(name="example_digest", fields=["project", "sha256"]),
            models.Index(name="example_class", fields=["project", "label", "split", "excluded"]),
            models.Index(name="example_part", fields=["project", "split", "id"]),
            models.Index(
                name="example_in_doubt",
                fields=["project", "-doubt", "id"],
                condition=Q(doubt__isnull=False, confirmed=False, excluded=False),
            ),
            models.Index(
                name="example_near_copy",
                fields=["project", "-likeness", "near_copy_of", "id"],
                condition=Q(likeness__isnull=False, excluded=False),
            ),
            models.Index(
                name="example_of_copies",
                fields=["project", "near_copy_of"],
                condition=Q(likeness__isnull=False, excluded=False),
            ),
            models.Index(
                name="example_odd",
                fields=["project", "-oddness", "id"],
                condition=Q(oddness__isnull=False, confirmed=False, excluded=False),
            ),
            models.Index(name="example_excluded", fields=["project", "id"], condition=Q(excluded=True)),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.text[:40] or self.place}"


class Addition(models.Model):
    """An upload with more examples for a project that a worker reads, as it is too large for a web process.

    How far that is stands in the validation, why it failed in the upload's `reason`.
    """

    validation = models.OneToOneField(DatasetValidation, on_delete=models.CASCADE, related_name="addition")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="additions")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    source = models.CharField(max_length=12, default=UPLOAD)
    edit = models.OneToOneField(
        Edit, on_delete=models.SET_NULL, null=True, related_name="addition", help_text="Which appended them."
    )
    known = models.PositiveIntegerField(default=0, help_text="Examples that the project had already.")
    unreadable = models.PositiveIntegerField(default=0, help_text="What could not be read.")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.validation.dataset.original_name

    @property
    def added(self) -> int:
        """How many examples are new."""
        return self.edit.examples if self.edit else 0
