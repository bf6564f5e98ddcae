"""How models and predictions look over REST."""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers

from inference.downloads import DOWNLOADS
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


class PredictionSerializer(TopSerializer):
    """The most probable class, and the runners-up."""

    top = TopSerializer(many=True)


class AnswerSerializer(serializers.Serializer):
    """The answer to a predict call."""

    model = serializers.CharField()
    predictions = PredictionSerializer(many=True)
    milliseconds = serializers.FloatField()


class PredictFilesSerializer(serializers.Serializer):
    """Image files as multipart `file`, which may come several times."""

    file = serializers.ListField(child=serializers.FileField())


class PredictTextsSerializer(serializers.Serializer):
    """Texts."""

    texts = serializers.ListField(child=serializers.CharField())


class ModelChangesSerializer(serializers.ModelSerializer):
    """What can be changed about a live model."""

    class Meta:
        model = RegisteredModel
        fields = ("name", "description", "downloadable", "expires_at", "pinned")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"required": False},
            "expires_at": {"help_text": "In the future; null, which is never, is for operators."},
            "pinned": {"help_text": "Never expires. For operators."},
        }

    @property
    def _by_operator(self) -> bool:
        return bool(self.context["request"].user.is_operator)

    def validate_pinned(self, value: bool) -> bool:
        """Leave it to operators what is kept for ever."""
        if not self._by_operator:
            raise serializers.ValidationError("Only operators can pin a model.")
        return value

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        """Bound how long a model is kept."""
        if value is None and not self._by_operator:
            raise serializers.ValidationError("Only operators can let a model live for ever.")
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This is over already. Delete the model instead.")
        most = settings.TRAINYARD["MAX_KEEP"]
        if value is not None and value > timezone.now() + most and not self._by_operator:
            raise serializers.ValidationError(f"A model can be kept for {most.days} days from now at most.")
        return value


class KeepSerializer(serializers.Serializer):
    """How much longer a model is to live."""

    hours = serializers.IntegerField(default=24, min_value=1, max_value=10_000)


class DownloadSerializer(serializers.Serializer):
    """Which of a model's files."""

    format = serializers.ChoiceField(choices=list(DOWNLOADS))


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
