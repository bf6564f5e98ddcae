"""How examples that are added to a project look over REST."""

from rest_framework import serializers

from core.http.calls import RequestSerializer
from work.models import WorkState

from ..examples.edits import LONGEST_LABEL
from ..examples.models import Addition


class AdditionRequestSerializer(RequestSerializer):
    """Examples to append."""

    file = serializers.ListField(
        child=serializers.FileField(), required=False, help_text="May be sent several times, with a class."
    )
    texts = serializers.ListField(child=serializers.CharField(), required=False, max_length=10_000)
    class_name = serializers.CharField(required=False, max_length=LONGEST_LABEL)


class AddedSerializer(serializers.Serializer):
    """What became of it: how many are new, how many were there already, and what could not be read, with the reason."""

    edit = serializers.IntegerField(source="edit.number", default=None, allow_null=True)
    added = serializers.IntegerField()
    known = serializers.IntegerField()
    unreadable = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class AdditionSerializer(serializers.ModelSerializer):
    """A large upload of examples, which a worker reads and appends.

    `done` of `total` examples are read (0: unknown). Once the state is `succeeded`: how many are new (`edit` takes them
    back), how many were there already, how many could not be read. `failed`: nothing was added, and why is in
    `reason`. `dataset` is what they are kept as.
    """

    dataset = serializers.IntegerField(source="validation.dataset_id")
    state = serializers.ChoiceField(WorkState.choices, source="validation.state")
    done = serializers.IntegerField(source="validation.done")
    total = serializers.IntegerField(source="validation.total")
    reason = serializers.CharField(source="validation.dataset.reason")
    edit = serializers.IntegerField(source="edit.number", default=None, allow_null=True)

    class Meta:
        model = Addition
        fields = (
            "id",
            "dataset",
            "state",
            "done",
            "total",
            "reason",
            "edit",
            "added",
            "known",
            "unreadable",
        )
        read_only_fields = fields
