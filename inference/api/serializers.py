"""REST serializers of models and predictions."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers

from core.http.calls import RequestSerializer
from inference.downloads import DOWNLOADS
from models_registry.artifacts.explanations import ActivationMap, Explanation, NoExplanation, WordImportance
from models_registry.models import Artifact, RegisteredModel

from ..predict.services import Answer


class ArtifactSerializer(serializers.ModelSerializer):
    """A file of a model."""

    class Meta:
        model = Artifact
        fields = ("kind", "size", "sha256")


class RegisteredModelSerializer(serializers.ModelSerializer):
    """A model."""

    artifacts = ArtifactSerializer(many=True, read_only=True)
    project = serializers.UUIDField(source="project.public_id", read_only=True)

    class Meta:
        model = RegisteredModel
        fields = (
            "token",
            "public_id",
            "project",
            "version",
            "notes",
            "name",
            "description",
            "origin",
            "task_type",
            "architecture",
            "strategy",
            "classes",
            "state",
            "downloadable",
            "pinned",
            "accuracy",
            "metrics",
            "live_at",
            "expires_at",
            "retired_at",
            "unusable_because",
            "artifacts",
        )
        read_only_fields = fields


class TopSerializer(serializers.Serializer):
    """A class and its probability, 0 to 1."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field may be named like an argument
    probability = serializers.FloatField()


class WordSerializer(serializers.Serializer):
    """A word, or a few in a row, and by how much the probability falls when it is left out."""

    text = serializers.CharField()
    start = serializers.IntegerField(help_text="Index of its first character in the text, from 0.")
    end = serializers.IntegerField(help_text="Index after its last character.")
    importance = serializers.FloatField(
        help_text="By how much the label's probability falls without the word; negative: it rises."
    )


class ExplanationSerializer(serializers.Serializer):
    """An explanation of the label: a heat map of an image or weights of words; else why there is none."""

    kind = serializers.ChoiceField(choices=["map", "words", "none"])
    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        required=False,
        help_text="Of a map: the evidence for the label at each place, 0 to 1, in rows from the top.",
    )
    box = serializers.ListField(
        child=serializers.FloatField(),
        required=False,
        help_text="Of a map: the part of the upright image that it covers, which is the network's input: "
        "left, top, width, height, as fractions of the whole.",
    )
    words = WordSerializer(many=True, required=False)
    reason = serializers.CharField(required=False, help_text="Why there is no explanation.")


class PredictionSerializer(TopSerializer):
    """The most probable class, and the runners-up."""

    top = TopSerializer(many=True)
    explanation = ExplanationSerializer(required=False, help_text="Only with `explain=1`.")


class AnswerSerializer(serializers.Serializer):
    """The answer to a predict call."""

    model = serializers.CharField(help_text="The token that was asked.")
    version = serializers.IntegerField(help_text="The version of the project that has answered, from 1.")
    predictions = PredictionSerializer(many=True)
    milliseconds = serializers.FloatField()


class PredictFilesSerializer(RequestSerializer):
    """Image files as multipart `file`, which may come several times."""

    file = serializers.ListField(child=serializers.FileField())


class PredictTextsSerializer(RequestSerializer):
    """Texts to classify."""

    texts = serializers.ListField(child=serializers.CharField())


class HowToPredictSerializer(RequestSerializer):
    """Options of a prediction."""

    explain = serializers.BooleanField(
        default=False,
        help_text="Explain the predictions as well. Takes longer, for fewer inputs at once (8 unless configured).",
    )


class ModelChangesSerializer(RequestSerializer, serializers.ModelSerializer):
    """Changes of a live model; fields that are not sent stay as they are."""

    class Meta:
        model = RegisteredModel
        fields = ("name", "description", "notes", "downloadable", "expires_at", "pinned")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"required": False},
            "expires_at": {"help_text": "In the future; null (never) only by operators."},
            "pinned": {"help_text": "Never expires. Only by operators."},
        }

    @property
    def _by_operator(self) -> bool:
        return bool(self.context["request"].user.is_operator)

    def validate_pinned(self, value: bool) -> bool:
        """Raise ValidationError unless an operator pins the model."""
        if not self._by_operator:
            raise serializers.ValidationError("Only operators can pin a model.")
        return value

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        """Raise ValidationError for an expiry in the past or after the longest time that a model may be kept."""
        if value is None and not self._by_operator:
            raise serializers.ValidationError("Only operators can let a model live for ever.")
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This is over already. Delete the model instead.")
        most = settings.TRAINYARD["MAX_KEEP"]
        if value is not None and value > timezone.now() + most and not self._by_operator:
            raise serializers.ValidationError(f"A model can be kept for {most.days} days from now at most.")
        return value


class KeepSerializer(RequestSerializer):
    """By how many hours a model's expiry is extended."""

    hours = serializers.IntegerField(default=24, min_value=1, max_value=10_000)


class DownloadSerializer(RequestSerializer):
    """The format of a file."""

    format = serializers.ChoiceField(choices=list(DOWNLOADS))


def answer_json(answer: Answer) -> dict[str, object]:
    """Return an answer as plain data, the same for REST and the shell."""
    predictions = [
        {
            "label": prediction.label,
            "probability": round(prediction.probability, 6),
            "top": [
                {"label": label, "probability": round(probability, 6)}
                for label, probability in prediction.top
            ],
        }
        for prediction in answer.predictions
    ]
    for prediction, why in zip(predictions, answer.explanations, strict=False):
        prediction["explanation"] = explanation_json(why)
    return {
        "model": answer.model.shown_token,
        "version": answer.model.version,
        "predictions": predictions,
        "milliseconds": answer.milliseconds,
    }


def explanation_json(why: Explanation) -> dict[str, object]:
    """Return an explanation as plain data."""
    match why:
        case ActivationMap():
            return {"kind": "map", "rows": why.rows, "box": why.box}
        case WordImportance():
            return {"kind": "words", "words": [asdict(word) for word in why.words]}
        case NoExplanation():
            return {"kind": "none", "reason": why.reason}
