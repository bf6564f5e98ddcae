"""How data sets and jobs look over REST."""

from typing import Any

from rest_framework import serializers

from models_registry.models import TaskType
from training.models import Dataset, TrainingJob


class DatasetSerializer(serializers.ModelSerializer):
    """A data set that was validated, with what the validation found."""

    class Meta:
        model = Dataset
        fields = (
            "id",
            "name",
            "task_type",
            "size",
            "sha256",
            "classes",
            "examples",
            "columns",
            "report",
            "created_at",
        )
        read_only_fields = fields


class DatasetUploadSerializer(serializers.Serializer):
    """A data set to upload: a zip with a folder for each class, or a CSV."""

    name = serializers.CharField(max_length=100)
    task_type = serializers.ChoiceField(choices=TaskType.choices)
    file = serializers.FileField()
    input_column = serializers.CharField(required=False, default="input")
    label_column = serializers.CharField(required=False, default="label")

    def columns(self) -> dict[str, str] | None:
        """Return the mapping of columns, for texts."""
        values: dict[str, Any] = self.validated_data
        if values["task_type"] != TaskType.TEXT:
            return None
        return {"input": values["input_column"], "label": values["label_column"]}


class ReduceLrOnPlateauSerializer(serializers.Serializer):
    """Lower the learning rate when validation stops getting better."""

    factor = serializers.FloatField(default=0.1, min_value=0.01, max_value=0.5)
    patience = serializers.IntegerField(default=5, min_value=1, max_value=20)
    min_lr = serializers.FloatField(default=1e-5, min_value=1e-8)


class StepLrSerializer(serializers.Serializer):
    """Multiply the learning rate by gamma every so many epochs."""

    step_size = serializers.IntegerField(default=4, min_value=1, max_value=100)
    gamma = serializers.FloatField(default=0.1, min_value=0.01, max_value=0.9)


class JobSerializer(serializers.ModelSerializer):
    """A training job and how far it is."""

    dataset = serializers.PrimaryKeyRelatedField(queryset=Dataset.objects.none())
    reduce_lr_on_plateau = ReduceLrOnPlateauSerializer(required=False, allow_null=True)
    step_lr = StepLrSerializer(required=False, allow_null=True)
    architecture = serializers.CharField(required=False)
    accuracy = serializers.FloatField(source="registered_model.accuracy", read_only=True, default=None)

    class Meta:
        model = TrainingJob
        settings_fields = (
            "optimizer",
            "learning_rate",
            "batch_size",
            "epochs",
            "reduce_lr_on_plateau",
            "step_lr",
        )
        fields = (
            "id",
            "token",
            "name",
            "dataset",
            "task_type",
            "architecture",
            "strategy",
            "data_split",
            "downloadable",
            "seed",
            *settings_fields,
            "state",
            "attempt",
            "progress",
            "error",
            "accuracy",
            "queued_at",
            "started_at",
            "finished_at",
        )
        read_only_fields = (
            "id",
            "token",
            "task_type",
            "state",
            "attempt",
            "progress",
            "error",
            "queued_at",
            "started_at",
            "finished_at",
        )

    def get_fields(self) -> dict[str, Any]:
        """Offer the caller's own data sets only."""
        fields = super().get_fields()
        request = self.context.get("request")
        if request is not None:
            own = Dataset.objects.owned_by(request.user)
            fields["dataset"] = serializers.PrimaryKeyRelatedField(queryset=own)
        return fields
