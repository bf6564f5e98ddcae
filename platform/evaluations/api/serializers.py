"""What goes in and out over REST."""

from collections.abc import Mapping

from django.core.files import File
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from core.http.calls import RequestSerializer

from ..comparison import Comparison, Standing
from ..models import Evaluation
from ..results import Answered
from ..selectors import why_waiting
from ..services import MOST_COMPARED


class EvaluationRequestSerializer(RequestSerializer):
    """Which version to measure, and on what: the project's own examples, unless a file is sent or named."""

    version = serializers.IntegerField(min_value=1)
    file = serializers.FileField(
        required=False, help_text="A zip with a folder for each class, or a table with a column of labels."
    )
    file_id = serializers.IntegerField(
        required=False, min_value=1, help_text="One that was sent before, as `file_id` of its evaluations."
    )

    def validate(self, data: dict[str, object]) -> dict[str, object]:
        """Refuse two files."""
        if data.get("file") and data.get("file_id"):
            raise serializers.ValidationError("Send either a file or the id of one.")
        return data

    @property
    def upload(self) -> File | None:
        """The file that was sent."""
        return self.validated_data.get("file")


class ClassFiguresSerializer(serializers.Serializer):
    """How well one class is recognised."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Name the class `class`, which Python keeps for itself."""
        fractions = {name: serializers.FloatField() for name in ("precision", "recall", "f1")}
        return {"class": serializers.CharField(), **fractions, "support": serializers.IntegerField()}


class FiguresSerializer(serializers.Serializer):
    """How good a version's answers are: fractions of 1 with their 95 % intervals."""

    examples = serializers.IntegerField()
    right = serializers.IntegerField()
    accuracy = serializers.FloatField()
    accuracy_low = serializers.FloatField()
    accuracy_high = serializers.FloatField()
    macro_f1 = serializers.FloatField()
    macro_f1_low = serializers.FloatField()
    macro_f1_high = serializers.FloatField()
    per_class = ClassFiguresSerializer(many=True)


class MeasuredSerializer(FiguresSerializer):
    """The figures, and what they leave out."""

    unknown = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Examples of classes that the version does not know; each counts as a mistake.",
    )
    learnt = serializers.IntegerField(
        default=0, help_text="Examples that are left out because the version has learnt from them."
    )
    unreadable = serializers.IntegerField(default=0, help_text="Examples that could not be read.")
    beyond = serializers.IntegerField(default=0, help_text="Examples beyond as many as are looked at.")


class EvaluationSerializer(serializers.ModelSerializer):
    """An evaluation; `figures` is null until it has succeeded."""

    id = serializers.UUIDField(source="identifier")
    url = serializers.SerializerMethodField()
    version = serializers.IntegerField(source="model.version")
    file = serializers.CharField(source="file.name", default=None, allow_null=True)
    author = serializers.CharField(source="author.username", default=None, allow_null=True)
    message = serializers.SerializerMethodField(help_text="Why it waits or has failed, in a sentence.")
    figures = serializers.SerializerMethodField()

    class Meta:
        model = Evaluation
        fields = (
            *("id", "url", "version", "basis", "file_id", "file", "author", "state", "done", "total"),
            *("message", "figures", "created_at", "finished_at"),
        )
        read_only_fields = fields

    def get_url(self, evaluation: Evaluation) -> str:
        """The address of the evaluation."""
        arguments = [evaluation.project.public_id, evaluation.identifier]
        return reverse("api-evaluation", args=arguments, request=self.context.get("request"))

    def get_message(self, evaluation: Evaluation) -> str:
        """Why it waits, or has failed; "" otherwise."""
        return why_waiting(evaluation) or evaluation.message

    @extend_schema_field(MeasuredSerializer(allow_null=True))
    def get_figures(self, evaluation: Evaluation) -> dict[str, object] | None:
        """The figures; null until it has succeeded."""
        return MeasuredSerializer(evaluation.figures).data if evaluation.figures else None


class ComparisonRequestSerializer(RequestSerializer):
    """Which versions to compare, and on what."""

    versions = serializers.ListField(
        child=serializers.IntegerField(min_value=1), min_length=2, max_length=MOST_COMPARED
    )
    file_id = serializers.IntegerField(required=False, min_value=1, allow_null=True, default=None)


class PairSerializer(serializers.Serializer):
    """Two versions: how many examples only one of them has right, and what McNemar's exact test says."""

    first = serializers.IntegerField()
    second = serializers.IntegerField()
    only_first = serializers.IntegerField(source="difference.only_first")
    only_second = serializers.IntegerField(source="difference.only_second")
    p = serializers.FloatField(source="difference.p")
    beyond_chance = serializers.BooleanField(source="difference.is_beyond_chance")
    better = serializers.IntegerField(allow_null=True)
    words = serializers.CharField()


class ComparedAnswerSerializer(serializers.Serializer):
    """One version's answer to one example."""

    version = serializers.IntegerField()
    predicted = serializers.CharField()
    probability = serializers.FloatField()
    right = serializers.BooleanField()


class DifferingSerializer(serializers.Serializer):
    """An example that versions answer differently; `example` is null of one that came in a file."""

    example = serializers.IntegerField(allow_null=True)
    place = serializers.CharField()
    sha256 = serializers.CharField()
    text = serializers.CharField()
    true_class = serializers.CharField()
    answers = ComparedAnswerSerializer(many=True)


class VersionFiguresSerializer(FiguresSerializer):
    """The figures of one of the versions, on what all of them are measured on."""

    version = serializers.IntegerField()


class ComparisonSerializer(serializers.Serializer):
    """A comparison. Until `state` is "ready", there are no figures and no pairs.

    `left_out` counts examples that only some of the versions could be measured on; `differing` has the first of the
    `differ` that versions answer differently. `stale`: the examples have been edited since.
    """

    state = serializers.ChoiceField(choices=["none", "running", "failed", "ready"])
    basis = serializers.ChoiceField(choices=Evaluation.Basis.choices)
    file_id = serializers.IntegerField(allow_null=True)
    versions = serializers.ListField(child=serializers.IntegerField())
    stale = serializers.BooleanField()
    evaluations = EvaluationSerializer(many=True)
    examples = serializers.IntegerField(default=0)
    left_out = serializers.IntegerField(default=0)
    figures = VersionFiguresSerializer(many=True, default=[])
    pairs = PairSerializer(many=True, default=[])
    differ = serializers.IntegerField(default=0)
    differing = DifferingSerializer(many=True, default=[])


def comparison_data(standing: Standing, found: Comparison | None) -> dict[str, object]:
    """Return what `ComparisonSerializer` writes."""
    state = (
        "ready" if found else "running" if standing.is_under_way else "failed" if standing.failed else "none"
    )
    told: dict[str, object] = {
        "state": state,
        "basis": standing.basis,
        "file_id": standing.file.pk if standing.file else None,
        "versions": standing.versions,
        "stale": standing.is_stale,
        "evaluations": list(standing.evaluations.values()),
    }
    if found is None:
        return told
    return told | {
        "examples": found.examples,
        "left_out": found.left_out,
        "figures": [{"version": version, **figures} for version, figures in found.figures.items()],
        "pairs": found.pairs,
        "differ": found.differ,
        "differing": [_differing(row.example, row.answers) for row in found.differing],
    }


def _differing(example: Answered, answers: Mapping[int, Answered]) -> dict[str, object]:
    return {
        **{name: getattr(example, name) for name in ("place", "sha256", "text")},
        "true_class": example.label,
        "example": example.example or None,
        "answers": [
            {
                "version": version,
                "predicted": one.predicted,
                "probability": one.probability,
                "right": one.is_right,
            }
            for version, one in answers.items()
        ],
    }
