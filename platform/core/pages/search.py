"""The search above a list: some letters of a name, and the choices that a subclass adds.

A person's own list is searched for letters anywhere in a name. A list of all users has a million rows,
and no index serves the middle of a name: there the search is for the beginning of names.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django_filters import CharFilter, ChoiceFilter, FilterSet

ANYWHERE, BEGINNING = "icontains", "istartswith"
LABELS = {ANYWHERE: "Search by name", BEGINNING: "Beginning of a name"}


def choice(label: str, choices: Sequence[tuple[str, str]], *, everything: str) -> ChoiceFilter:
    """Return a filter by one of a column's values; `everything` names the choice that narrows nothing."""
    widget = forms.Select(attrs={"class": "form-select"})
    return ChoiceFilter(label=label, choices=choices, empty_label=everything, widget=widget)


class ListSearch(FilterSet):
    """A list narrowed by what the address asks for; a value that is no choice narrows nothing.

    A subclass adds choices, each named like the column that it compares.
    """

    q = CharFilter(
        field_name="name",
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "class": "form-control"}),
    )

    def __init__(self, *args: Any, lookup: str = ANYWHERE, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["q"].lookup_expr = lookup
        field = self.form.fields["q"]
        field.label = field.widget.attrs["placeholder"] = LABELS[lookup]

    @property
    def is_narrow(self) -> bool:
        """Tell whether something is searched for."""
        return self.form.is_valid() and any(self.form.cleaned_data.values())
