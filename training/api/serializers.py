"""How data sets and jobs look over REST."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.http.calls import RequestSerializer
from core.queue.app import why_unheard
from models_registry.models import Project, TaskType

from ..datasets.models import Dataset, DatasetValidation
from ..engine.specs.hyperparameters import ADVANCED, PLATEAU, STEP
from ..engine.specs.options import Choice, Group, Number, Option
from ..engine.specs.strategies import STRATEGIES, strategy_of
from ..jobs.models import TrainingJob
from ..jobs.selectors import expected_start, position_in_queue
from ..jobs.services import settings_by_field
from .plan_serializers import CorrectionsField


class ValidationProgressSerializer(serializers.ModelSerializer):
    """How far a worker is with a data set."""

    class Meta:
        model = DatasetValidation
        fields = ("done", "total")
        read_only_fields = fields


class DatasetSerializer(serializers.ModelSerializer):
    """A data set, with what its validation found.

    While the state is `validating` a worker looks at it: `progress` says how far that is, and classes,
    examples and the report are empty. It ends as `ready`, or as `unusable` with the `reason`.
    """

    progress = serializers.SerializerMethodField(
        help_text="Examples read, of how many (0: unknown); null unless the data set is being validated."
    )

    class Meta:
        model = Dataset
        fields = (
            "id",
            "name",
            "state",
            "reason",
            "progress",
            "task_type",
            "size",
            "sha256",
            "classes",
            "examples",
            "columns",
            "corrections",
            "report",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(ValidationProgressSerializer(allow_null=True))
    def get_progress(self, dataset: Dataset) -> dict[str, object] | None:
        """Return how far the validation is."""
        if dataset.state != Dataset.State.VALIDATING:
            return None
        return {"done": dataset.validation.done, "total": dataset.validation.total}


class DatasetUploadSerializer(RequestSerializer):
    """A data set to upload: a zip with a folder for each class, or a table."""

    name = serializers.CharField(max_length=100)
    task_type = serializers.ChoiceField(
        choices=TaskType.choices, required=False, help_text="Known by the file where left out."
    )
    file = serializers.FileField(allow_empty_file=True)  # of which the reader says what to do
    input_column = serializers.CharField(required=False, help_text="Recognised by its name where left out.")
    label_column = serializers.CharField(required=False, help_text="Recognised by its name where left out.")
    corrections = CorrectionsField()

    def columns(self) -> dict[str, str] | None:
        """Return the mapping of columns, for texts."""
        values: dict[str, Any] = self.validated_data
        if values.get("task_type") == TaskType.IMAGE:
            return None
        given = {role: values.get(f"{role}_column") for role in ("input", "label")}
        return {role: column for role, column in given.items() if column}


def _number(number: Number, **more: Any) -> serializers.Field:
    """Return a field for a number within its range."""
    if number.whole:
        return serializers.IntegerField(
            min_value=int(number.least), max_value=int(number.most), help_text=number.why, **more
        )
    return serializers.FloatField(min_value=number.least, max_value=number.most, help_text=number.why, **more)


def _of_group(number: Number) -> serializers.Field:
    """Return a field for a number of a group."""
    default = number.default
    return _number(number, default=int(default) if number.whole and default is not None else default)


def _of_job(option: Option) -> serializers.Field:
    """Return a field for a further setting of a job, which the strategy chooses where it is left out."""
    left: dict[str, Any] = {"required": False, "allow_null": True, "write_only": True}
    if isinstance(option, Number):
        return _number(option, **left)
    if isinstance(option, Choice):
        return serializers.ChoiceField(choices=list(option.words.items()), help_text=option.why, **left)
    return serializers.BooleanField(help_text=option.why, **left)


class GroupSerializer(RequestSerializer):
    """Numbers that are set together; one that is left out has its usual value."""

    group: Group

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return a field for each."""
        return {name: _of_group(number) for name, number in self.group.options.items()}


class ReduceLrOnPlateauSerializer(GroupSerializer):
    """Lower the learning rate when validation stops getting better."""

    group = PLATEAU


class StepLrSerializer(GroupSerializer):
    """Multiply the learning rate by gamma every so many epochs."""

    group = STEP


class TestSetSerializer(serializers.Serializer):
    """The figures of a data set's own test part, from which nothing was learnt; percent."""

    examples = serializers.IntegerField()
    accuracy = serializers.FloatField()
    accuracy_low = serializers.FloatField(source="interval.low", allow_null=True, default=None)
    accuracy_high = serializers.FloatField(source="interval.high", allow_null=True, default=None)
    macro_f1 = serializers.FloatField()
    copies = serializers.IntegerField(
        help_text="Examples that do not count, since training or validation had the same."
    )
    unknown = serializers.IntegerField(help_text="Examples of classes that the model does not have.")


class JobSerializer(RequestSerializer, serializers.ModelSerializer):
    """A training job and how far it is."""

    dataset = serializers.PrimaryKeyRelatedField(queryset=Dataset.objects.none())
    project = serializers.SlugRelatedField(
        "public_id",
        queryset=Project.objects.none(),
        required=False,
        help_text="The project whose next version the model becomes; without it a new one is made.",
    )
    reduce_lr_on_plateau = ReduceLrOnPlateauSerializer(required=False, allow_null=True)
    step_lr = StepLrSerializer(required=False, allow_null=True)
    architecture = serializers.CharField(required=False)
    preset = serializers.ChoiceField(
        choices=[(spec.preset, spec.label) for spec in STRATEGIES.values()],
        required=False,
        write_only=True,
        help_text="A strategy by its preset's name: "
        + ", ".join(
            f"{spec.preset} for {spec.name}" for spec in STRATEGIES.values() if spec.preset != spec.name
        )
        + ".",
    )
    accuracy = serializers.FloatField(
        source="registered_model.accuracy",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="Percent; null before the job has succeeded.",
    )
    accuracy_low = serializers.FloatField(
        source="registered_model.accuracy_interval.low",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="Percent; the lower end of the 95 % interval of the accuracy on new examples.",
    )
    accuracy_high = serializers.FloatField(
        source="registered_model.accuracy_interval.high",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="Percent; its upper end.",
    )
    test = TestSetSerializer(
        source="registered_model.test_set",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="How good the model is on the data's own test part; null where there is none, and before the job "
        "has succeeded.",
    )
    progress = serializers.SerializerMethodField(
        help_text="Phase, steps done of those in all, message and metrics."
    )
    notice = serializers.SerializerMethodField(
        help_text="Why a queued job was not announced to workers, in a sentence; empty otherwise."
    )

    class Meta:
        model = TrainingJob
        fields: tuple[str, ...] = (
            "id",
            "token",
            "name",
            "project",
            "dataset",
            "task_type",
            "architecture",
            "preset",
            "strategy",
            "data_split",
            "downloadable",
            "seed",
            *TrainingJob.SETTINGS,
            "state",
            "queue",
            "priority",
            "attempt",
            "failures",
            "progress",
            "notice",
            "error",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "test",
            "queued_at",
            "started_at",
            "finished_at",
        )
        read_only_fields: tuple[str, ...] = (
            "id",
            "token",
            "task_type",
            "state",
            "queue",
            "priority",
            "attempt",
            "failures",
            "progress",
            "error",
            "queued_at",
            "started_at",
            "finished_at",
        )

    @extend_schema_field(serializers.DictField())
    def get_progress(self, job: TrainingJob) -> dict[str, object]:
        """Return the progress without the course of all epochs, which is for one job at a time."""
        return job.how_far.without_curve().to_json()

    def get_notice(self, job: TrainingJob) -> str:
        """Return what whoever sent the job should know."""
        return why_unheard(job.announced_at) if job.state == TrainingJob.State.QUEUED else ""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Let a preset name the strategy, and put the further settings together."""
        preset = attrs.pop("preset", None)
        if preset is not None:
            strategy = strategy_of(preset)
            if attrs.get("strategy", strategy) != strategy:
                raise serializers.ValidationError({"preset": f"{preset} is the strategy {strategy}."})
            attrs["strategy"] = strategy
        twice = {
            name: ["This stands in `advanced` as well."]
            for name in attrs.get("advanced", {})
            if name in attrs
        }
        if twice:
            raise serializers.ValidationError(twice)
        return settings_by_field({name: value for name, value in attrs.items() if value is not None})

    def get_fields(self) -> dict[str, Any]:
        """Offer the caller's own data sets only, and each of the settings that lie in `advanced` by its name."""
        fields = {**super().get_fields(), **{name: _of_job(option) for name, option in ADVANCED.items()}}
        request = self.context.get("request")
        if request is not None:
            own = Dataset.objects.owned_by(request.user)
            fields["dataset"] = serializers.PrimaryKeyRelatedField(queryset=own)
            projects = Project.objects.current().owned_by(request.user)
            fields["project"] = serializers.SlugRelatedField(
                "public_id", queryset=projects, required=False, help_text=fields["project"].help_text
            )
        return fields


class JobDetailSerializer(JobSerializer):
    """One job, with its place in the queue and the end of its log."""

    position = serializers.SerializerMethodField(
        help_text="Place in the queue, from 1; null once the job has started."
    )
    expected_start = serializers.SerializerMethodField(help_text="Null when it cannot be estimated.")

    class Meta(JobSerializer.Meta):
        fields: tuple[str, ...] = (*JobSerializer.Meta.fields, "position", "expected_start", "log_tail")
        read_only_fields: tuple[str, ...] = (*JobSerializer.Meta.read_only_fields, "log_tail")

    @extend_schema_field(serializers.DictField())
    def get_progress(self, job: TrainingJob) -> dict[str, object]:
        """Return the progress with the curve."""
        return job.how_far.to_json()

    def get_position(self, job: TrainingJob) -> int | None:
        """Return the place in the queue."""
        return position_in_queue(job) if job.state == TrainingJob.State.QUEUED else None

    def get_expected_start(self, job: TrainingJob) -> datetime | None:
        """Return about when the job starts."""
        return expected_start(job)
