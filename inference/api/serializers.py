"""How models and predictions look over REST."""

from typing import Any

from rest_framework import serializers

from inference.services import Answer
from models_registry.models import Artifact, RegisteredModel


class ArtifactSerializer(serializers.ModelSerializer):
    """A file of a model."""

    class Meta:
        model = Artifact
        fields = ("kind", "size", "sha256")


class RegisteredModelSerializer(serializers.ModelSerializer):
    """A model of the caller's."""

    artifacts = ArtifactSerializer(many=True, read_only=True)

    class Meta:
        model = RegisteredModel
        fields = (
            "token",
            "name",
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
            "artifacts",
        )
        read_only_fields = fields


class TopSerializer(serializers.Serializer):
    """A class and its probability, 0 to 1."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field may be named like an argument
    probability = serializers.FloatField()


class PredictionSerializer(TopSerializer):
    """The most probable class, and the runners-up."""

    top = TopSerializer(many=True)


class AnswerSerializer(serializers.Serializer):
    """The answer to a predict call."""

    model = serializers.CharField()
    predictions = PredictionSerializer(many=True)
    milliseconds = serializers.FloatField()


class PredictRequestSerializer(serializers.Serializer):
    """Image files as multipart `file` (repeatable), or texts as JSON."""

    file = serializers.ListField(child=serializers.FileField(), required=False)
    texts = serializers.ListField(child=serializers.CharField(allow_blank=True), required=False)


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain data, the same for REST and the shell."""
    return {
        "model": answer.model.token,
        "predictions": [
            {
                "label": prediction.label,
                "probability": round(prediction.probability, 6),
                "top": [
                    {"label": label, "probability": round(probability, 6)}
                    for label, probability in prediction.top
                ],
            }
            for prediction in answer.predictions
        ],
        "milliseconds": answer.milliseconds,
    }
