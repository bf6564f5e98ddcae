"""The line above a list by which it is narrowed: some letters of a name, and one choice or two.

A person's own list is looked through for letters anywhere in a name. Everybody's has a million rows, and
no index knows the middle of a name: there the search is for how names begin.
"""

from typing import Any

from django import forms
from django.db.models import QuerySet

ANYWHERE, BEGINNING = "name__icontains", "name__istartswith"
WORDS = {ANYWHERE: "Search by name", BEGINNING: "Beginning of a name"}


class ListSearch(forms.Form):
    """What a person looks for in a list; what cannot be understood narrows nothing.

    A subclass adds choices, each named like the column that it compares.
    """

    q = forms.CharField(max_length=100, required=False)

    def __init__(self, *args: Any, where: str = ANYWHERE, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.where = where
        self.fields["q"].label = WORDS[where]
        self.fields["q"].widget = forms.TextInput(
            attrs={"type": "search", "placeholder": WORDS[where], "class": "form-control"}
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
            rows = rows.filter(**{self.where: words})
        return rows.filter(**{name: value for name, value in given.items() if value})

    def _given(self) -> dict[str, Any]:
        self.is_valid()
        return dict(self.cleaned_data)
