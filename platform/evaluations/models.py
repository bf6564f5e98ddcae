"""Evaluations: one version measured on examples that it has not learnt from, and what a policy made of them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from models_registry.models import Project, RegisteredModel
from work.models import LeasedQuerySet, LeasedWork

RUN_EVALUATION = "evaluations.run_evaluation"


MEASURED_ON = {
    "test": "the project's test part, which no training learns from",
    "out-of-fold": "the project's examples, each answered by a model that was trained without it, as there is no test "
    "part yet",
}


class LabelledFile(models.Model):
    """A labelled file that somebody brought to measure versions with; none of them learns from it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="labelled_files")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    name = models.CharField(max_length=255)
    key = models.CharField(max_length=400, unique=True, help_text="Where it lies in the bucket.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    columns = models.JSONField(default=dict, help_text="Of a table: which is the text, which the label.")
    classes = models.JSONField(default=list)
    examples = models.PositiveIntegerField(help_text="That can be read.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "labelled file"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(name="labelled_file_once_in_a_project", fields=["project", "sha256"])
        ]

    def __str__(self) -> str:
        return self.name


class EvaluationQuerySet(LeasedQuerySet):
    """Queries about evaluations."""

    def of_project(self, project: Project) -> EvaluationQuerySet:
        """Return a project's evaluations with what tells them apart, the newest first."""
        rows = self.filter(project=project).select_related("model", "file", "author")
        return rows.defer("model__metrics", "model__accuracy_plot", "model__classes", "figures").order_by(
            "-id"
        )


class Evaluation(LeasedWork):
    """One version measured by a worker; `figures` and the file of answers are there once it has succeeded."""

    TASK = RUN_EVALUATION

    class Basis(models.TextChoices):
        """What a version is measured on."""

        TEST = "test", "the project's test part"
        OUT_OF_FOLD = "out-of-fold", "all examples, each left out once"
        FILE = "file", "a labelled file"

    identifier = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    queue = models.CharField(max_length=16, default="batches", editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="evaluations")
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="evaluations")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="Empty: the project's policy.",
    )
    basis = models.CharField(max_length=12, choices=Basis)
    file = models.ForeignKey(LabelledFile, on_delete=models.CASCADE, null=True, related_name="evaluations")
    edit = models.PositiveIntegerField(
        default=0, help_text="Number of the newest edit of the examples that were measured on."
    )
    done = models.PositiveIntegerField(default=0, help_text="Examples with an answer.")
    total = models.PositiveIntegerField(default=0, help_text="Of how many; 0 where that is not known yet.")
    figures = models.JSONField(default=dict)
    result_key = models.CharField(max_length=400, blank=True)
    result_size = models.PositiveBigIntegerField(default=0, help_text="Bytes.")
    result_sha256 = models.CharField(max_length=64, blank=True)

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            *LeasedWork.Meta.constraints,
            models.CheckConstraint(
                name="evaluation_basis_known", condition=Q(basis__in=["test", "out-of-fold", "file"])
            ),
            models.CheckConstraint(
                name="evaluation_of_a_file_names_it",
                condition=Q(basis="file", file__isnull=False) | (~Q(basis="file") & Q(file__isnull=True)),
            ),
        ]
        indexes = [
            *LeasedWork.Meta.indexes,
            models.Index(name="evaluation_of_project", fields=["project", "-id"]),
            models.Index(name="evaluation_of_version", fields=["model", "basis", "-id"]),
        ]

    def __str__(self) -> str:
        return f"version {self.model.version} on {self.get_basis_display()}"

    @property
    def measured_on(self) -> str:
        """What it is measured on, in words."""
        return self.file.name if self.file else MEASURED_ON[self.basis]


class PolicyDecision(models.Model):
    """What a project's policy made of a version that went live while another was in production."""

    class Outcome(models.TextChoices):
        """Whether it was promoted."""

        PROMOTED = "promoted", "promoted"
        KEPT = "kept", "not promoted"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="policy_decisions")
    model = models.OneToOneField(RegisteredModel, on_delete=models.CASCADE, related_name="policy_decision")
    against = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome)
    why = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "decision of a policy"
        verbose_name_plural = "decisions of policies"
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.why
