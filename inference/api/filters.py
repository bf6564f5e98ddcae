"""The filters of the list of models."""

from django_filters import rest_framework as filters

from core.http.filters import MomentFilter
from models_registry.models import RegisteredModel, TaskType


class ModelFilter(filters.FilterSet):
    """Models by state, kind, name and time."""

    state = filters.MultipleChoiceFilter(choices=RegisteredModel.State.choices)
    task_type = filters.ChoiceFilter(choices=TaskType.choices)
    origin = filters.ChoiceFilter(choices=RegisteredModel.Origin.choices)
    name = filters.CharFilter(lookup_expr="icontains", help_text="A part of the name.")
    live_since = MomentFilter(field_name="live_at", lookup_expr="gte")
    expires_before = MomentFilter(field_name="expires_at", lookup_expr="lt")

    class Meta:
        model = RegisteredModel
        fields = (
            "state",
            "task_type",
            "origin",
            "name",
            "architecture",
            "strategy",
            "downloadable",
            "pinned",
        )
