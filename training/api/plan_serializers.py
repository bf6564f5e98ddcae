"""How the plan of a data set is asked for over REST, and how it looks."""

from typing import Any

from rest_framework import serializers

from core.http.calls import RequestSerializer
from core.http.json_text import holds_half_characters, parse_json
from models_registry.inputs import Corrections, DataError, Entry
from models_registry.models import TaskType

from ..datasets.dry_run import MOST_ENTRIES, PlanUpload

ITEMS_OF_AN_ENTRY = 4  # of JSON: its bracket, two commas, and one to spare
CORRECTIONS_HELP = (
    "JSON: what is said against the guess. Images: `class_level` (1 is the outermost folder), `use_split`, "
    '`labels_from` (a file, or "folders"), `name_encoding`. Tables: `separator`, `encoding`, `heading`, `sheet`, '
    '`member`, `input`, `label`, `split` (a column, "" for none). Both: `merge` ({"old": "new"}), `leave_out` '
    "(a list of classes), `min_examples`, `group`."
)


class CorrectionsField(serializers.CharField):
    """Corrections as JSON text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "allow_blank": True, "help_text": CORRECTIONS_HELP, **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        """Return the corrections."""
        text = super().to_internal_value(data)
        try:
            return Corrections.from_json(_json_of(text)) if text else Corrections()
        except (DataError, ValueError) as error:
            raise serializers.ValidationError(str(error)) from error


class EntriesField(serializers.CharField):
    """The files of a folder as JSON text: a list of [path, bytes]."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the entries."""
        text = super().to_internal_value(data)
        try:
            found = _json_of(text, most_items=ITEMS_OF_AN_ENTRY * (MOST_ENTRIES + 1))
        except ValueError as error:
            raise serializers.ValidationError(f"This is no JSON that can be used: {error}.") from error
        if not isinstance(found, list) or not all(map(_is_entry, found)):
            raise serializers.ValidationError("Send a list of [path, bytes], one for each file.")
        return [Entry(path.replace("\\", "/"), size, path.endswith("/")) for path, size in found]


def _json_of(text: str, **limits: int) -> Any:
    content = text.encode()
    value = parse_json(content, **limits)
    if holds_half_characters(content, value):
        raise ValueError("a text holds half of a surrogate pair")
    return value


def _is_entry(found: object) -> bool:
    match found:
        case [str(path), int(size)]:
            return bool(path) and size >= 0 and not isinstance(size, bool)
    return False


class PlanRequestSerializer(RequestSerializer):
    """What a plan is asked of: a file, a part of one with the size of the whole, or the names in a folder."""

    name = serializers.CharField(max_length=1_000, help_text="The file's name with its ending.")
    task_type = serializers.ChoiceField(
        choices=TaskType.choices, required=False, help_text="Known by the file's ending where left out."
    )
    corrections = CorrectionsField()
    file = serializers.FileField(required=False, allow_empty_file=True, max_length=1_000)
    part = serializers.ChoiceField(
        choices=["head", "tail"],
        required=False,
        help_text="`head`: the file is the beginning of a table. `tail`: it is a zip from its list of files on.",
    )
    size = serializers.IntegerField(
        min_value=0, max_value=2**53, required=False, help_text="Bytes of the whole file."
    )
    entries = EntriesField(required=False, help_text="JSON: a list of [path, bytes], of a folder.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for one of a file and entries, and for the size where only a part is sent."""
        if ("file" in attrs) == ("entries" in attrs):
            raise serializers.ValidationError("Send a file, a part of one, or the entries of a folder.")
        if attrs.get("part") == "tail" and "size" not in attrs:
            raise serializers.ValidationError({"size": "Give the size of the whole file."})
        return attrs

    def upload(self) -> PlanUpload:
        """Return what was sent."""
        return PlanUpload(**self.validated_data)


class ReasonSerializer(serializers.Serializer):
    """Files or rows that are no examples."""

    reason = serializers.CharField()
    count = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField(), help_text="The first of them.")


class SuggestionSerializer(serializers.Serializer):
    """Corrections that may be meant."""

    label = serializers.CharField(help_text="For a button.")  # type: ignore[assignment]  # the key has this name
    why = serializers.CharField()
    corrections = serializers.DictField(
        help_text="What replaces the same keys of the corrections that were said; null takes one back."
    )


class PlanSerializer(serializers.Serializer):
    """What would become of a data set."""

    task_type = serializers.ChoiceField(choices=TaskType.choices)
    examples = serializers.IntegerField()
    classes = serializers.DictField(child=serializers.IntegerField(), help_text="Examples of each class.")
    parts = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Examples of each part of a split that the data set brings.",
    )
    left_out = ReasonSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField(), help_text="What was guessed or is doubtful.")
    problem = serializers.CharField(
        help_text="Why nothing can be trained on it; empty when nothing is wrong."
    )
    is_complete = serializers.BooleanField(
        help_text="False when only a table's beginning was read, or names and no image."
    )
    levels = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Images: the first folders of each level, the outermost first.",
    )
    columns = serializers.ListField(child=serializers.CharField(), help_text="Tables.")
    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), help_text="Tables: the first rows."
    )
    encoding = serializers.CharField()
    separator = serializers.CharField()
    heading = serializers.BooleanField()
    sheet = serializers.CharField()
    sheets = serializers.ListField(child=serializers.CharField(), help_text="Other sheets of a workbook.")
    members = serializers.ListField(child=serializers.CharField(), help_text="Other tables of a zip.")
    tables = serializers.ListField(
        child=serializers.CharField(), help_text="Images: files beside them that may hold their labels."
    )
    labels_from = serializers.CharField(help_text="Images: the table that the labels come from.")
    label_columns = serializers.ListField(
        child=serializers.CharField(),
        help_text="Images: columns of it, one of which is to be named as `label`.",
    )
    corrections = serializers.DictField(help_text="What was said.")
    suggestions = SuggestionSerializer(many=True)
