"""The line above a list by which it is narrowed: some letters of a name, and one choice or two."""

from typing import Any

from django import forms
from django.db.models import QuerySet


class ListSearch(forms.Form):
    """What a person looks for in a list; what cannot be understood narrows nothing.

    A subclass adds choices, each named like the column that it compares.
    """

    q = forms.CharField(label="Search by name", max_length=100, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["q"].widget = forms.TextInput(
            attrs={"type": "search", "placeholder": "Search by name", "class": "form-control"}
        )
        for name in self.choices:
            self.fields[name].widget.attrs["class"] = "form-select"

    @property
    def choices(self) -> list[str]:
        """Return the names of the choices."""
        return [name for name in self.fields if name != "q"]

    @property
    def is_narrow(self) -> bool:
        """Tell whether something is looked for."""
        return any(self._given().values())

    def narrow(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that are looked for."""
        given = self._given()
        words = given.pop("q", "")
        if words:
            rows = rows.filter(name__icontains=words)
        return rows.filter(**{name: value for name, value in given.items() if value})

    def _given(self) -> dict[str, Any]:
        self.is_valid()
        return dict(self.cleaned_data)
