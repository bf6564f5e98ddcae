"""By what data sets and jobs can be looked for."""

from django_filters import rest_framework as filters

from core.http.filters import KeyFilter, MomentFilter
from models_registry.models import TaskType

from ..datasets.models import Dataset
from ..jobs.models import TrainingJob


class DatasetFilter(filters.FilterSet):
    """Data sets by kind, name and time."""

    task_type = filters.ChoiceFilter(choices=TaskType.choices)
    name = filters.CharFilter(lookup_expr="icontains", help_text="A part of the name.")
    created_since = MomentFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Dataset
        fields = ("state", "task_type", "name", "sha256")


class JobFilter(filters.FilterSet):
    """Jobs by state, kind, name, data set and time."""

    state = filters.MultipleChoiceFilter(choices=TrainingJob.State.choices)
    task_type = filters.ChoiceFilter(choices=TaskType.choices)
    name = filters.CharFilter(lookup_expr="icontains", help_text="A part of the name.")
    dataset = KeyFilter(field_name="dataset_id", help_text="The data set's id.")
    queued_since = MomentFilter(field_name="queued_at", lookup_expr="gte")

    class Meta:
        model = TrainingJob
        fields = ("state", "task_type", "name", "dataset", "token", "architecture", "strategy", "origin")
