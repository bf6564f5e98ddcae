"""What a browser sends of a form in which nothing was touched."""

from typing import Any

from django.forms import BaseForm, RadioSelect, Select


def untouched(form: BaseForm) -> dict[str, Any]:
    """Return initial values by field name, without files and boxes that are not ticked."""
    values = {name: _shown(form, name) for name in form.fields}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def _shown(form: BaseForm, name: str) -> Any:
    """Return a field's initial value; a drop-down list without one shows its first choice."""
    field, initial = form.fields[name], form[name].initial
    if initial is None and isinstance(field.widget, Select) and not isinstance(field.widget, RadioSelect):
        return next(iter(field.widget.choices))[0]
    return initial
