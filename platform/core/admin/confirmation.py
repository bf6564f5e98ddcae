"""Admin actions with a confirmation page: what changes, of how many rows, and whether it can be undone.

The same action serves a list's selection and, as a button, the page of one row. Each row is changed by
itself: what cannot be done to one is told in plain words and stops nothing else, what was done is in its
history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action

from ..exceptions import TrainyardError

if TYPE_CHECKING:
    from .base import PlatformAdmin

ROWS_PER_ACTION = 500  # rows; a form of Django's may have a thousand fields
LISTED = 25  # rows on the page that asks
REASONS = 5  # shown in messages after an action

FormValues = dict[str, Any]  # what was filled into the form of an action, cleaned, by field
Act = Callable[[Any, HttpRequest, Any, FormValues], None]


@dataclass(frozen=True)
class Confirmation:
    """The texts of a confirmation page. `undo` is empty for what cannot be undone.

    `together` makes all rows one transaction, so that a document in which they stand is written once.
    """

    title: str
    does: str
    undo: str
    done: str
    fits: Callable[[Any], bool] = lambda _: True
    needs: str = ""  # which rows it is for, as "only live models"
    form: type[forms.Form] | None = None
    deletes: bool = False
    together: bool = False


@dataclass
class Result:
    """How many rows were changed, and why others were not."""

    changed: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def confirmed(confirmation: Confirmation, *, permission: str, icon: str = "") -> Callable[[Act], Any]:
    """Return a decorator that makes an admin action of a function which changes one row.

    `permission` names a method of the admin, as in `@action(permissions=[…])`.
    """

    def decorate(act: Act) -> object:
        def run(
            model_admin: PlatformAdmin,
            request: HttpRequest,
            queryset: QuerySet[Any] | None = None,
            object_id: str | None = None,
        ) -> HttpResponse | None:
            chosen = None if queryset is None else list(queryset[: ROWS_PER_ACTION + 1])
            rows = [_row(model_admin, request, object_id)] if chosen is None else chosen
            if len(rows) > ROWS_PER_ACTION:
                text = f"At most {ROWS_PER_ACTION:,} at a time: narrow the list down, or choose fewer."
                model_admin.message_user(request, text, messages.WARNING)
                return None
            return _ask_or_do(Asked(model_admin, request, rows, object_id), confirmation, act)

        run.__name__, run.__doc__ = act.__name__, act.__doc__
        run.confirmation = confirmation  # type: ignore[attr-defined]
        return action(description=confirmation.title, permissions=[permission], icon=icon or None)(run)

    return decorate


@dataclass(frozen=True)
class Asked:
    """An action in progress: the admin, the request, the chosen rows; `object_id` on the page of one row."""

    model_admin: PlatformAdmin
    request: HttpRequest
    rows: list[Any]
    object_id: str | None


def _row(model_admin: PlatformAdmin, request: HttpRequest, object_id: str | None) -> Model:
    row = model_admin.get_object(request, unquote(object_id or ""))
    if row is None:
        raise Http404
    return row


def _ask_or_do(asked: Asked, confirmation: Confirmation, act: Act) -> HttpResponse | None:
    """Return the confirmation page, or, once it was answered, change the rows."""
    request, model_admin = asked.request, asked.model_admin
    fitting = [row for row in asked.rows if confirmation.fits(row)]
    if not fitting:
        text = f"Nothing was changed: this is for {confirmation.needs or 'other rows'}."
        model_admin.message_user(request, text, messages.WARNING)
        return _back(asked)
    answered = "confirmed" in request.POST
    form = confirmation.form(request.POST if answered else None) if confirmation.form else None
    if answered and (form is None or form.is_valid()):
        values = form.cleaned_data if form is not None else {}
        with transaction.atomic() if confirmation.together else nullcontext():
            result = _change(asked, fitting, lambda row: act(model_admin, request, row, values), confirmation)
        _report(asked, result, confirmation)
        return _back(asked, gone=confirmation.deletes)
    return TemplateResponse(request, "admin/confirm.html", _context(asked, confirmation, fitting, form))


def _context(
    asked: Asked, confirmation: Confirmation, fitting: list[Any], form: forms.Form | None
) -> dict[str, object]:
    """Return the context of the confirmation page; of the rows that will change it lists the first `LISTED`."""
    model_admin = asked.model_admin
    return {
        **model_admin.admin_site.each_context(asked.request),
        "title": confirmation.title,
        "opts": model_admin.opts,
        "confirmation": confirmation,
        "heading": _heading(model_admin, confirmation, len(fitting)),
        "rows": [(row, model_admin.describe(row)) for row in fitting[:LISTED]],
        "more": max(0, len(fitting) - LISTED),
        "left": len(asked.rows) - len(fitting),
        "chosen": [row.pk for row in fitting] if asked.object_id is None else [],
        "checkbox": ACTION_CHECKBOX_NAME,
        "action": asked.request.POST.get("action", ""),
        "form": form,
        "back": _address(asked),
    }


def _heading(model_admin: PlatformAdmin, confirmation: Confirmation, number: int) -> str:
    if not model_admin.counts_rows:
        return confirmation.title
    return f"{confirmation.title}: {number:,} {noun(model_admin, number)}"


def _change(
    asked: Asked, rows: Iterable[Any], act: Callable[[Any], None], confirmation: Confirmation
) -> Result:
    """Change each row and log it in Django's history; a `TrainyardError` of one row is counted and ends no other."""
    result, model_admin = Result(), asked.model_admin
    for row in rows:
        key = row.pk
        try:
            act(row)
        except TrainyardError as error:
            result.refused[str(error)] += 1
            continue
        row.pk = key  # the history names a deleted row too
        if confirmation.deletes:
            model_admin.log_deletions(asked.request, [row])
        else:
            model_admin.log_change(asked.request, row, confirmation.done)
        result.changed += 1
    return result


def _report(asked: Asked, result: Result, confirmation: Confirmation) -> None:
    tell = asked.model_admin.message_user
    if result.changed:
        what = f"{result.changed:,} {noun(asked.model_admin, result.changed)}: "
        words = f"{what if asked.model_admin.counts_rows else ''}{confirmation.done}"
        tell(asked.request, words, messages.SUCCESS)
    for reason, times in result.refused.most_common(REASONS):
        tell(asked.request, reason if times == 1 else f"{reason} ({times:,} times)", messages.WARNING)
    others = sum(result.refused.values()) - sum(times for _, times in result.refused.most_common(REASONS))
    if others:
        tell(asked.request, f"{others:,} more could not be changed.", messages.WARNING)


def noun(model_admin: PlatformAdmin, number: int) -> str:
    """Return the verbose name for one row or several."""
    return str(model_admin.opts.verbose_name if number == 1 else model_admin.opts.verbose_name_plural)


def _back(asked: Asked, *, gone: bool = False) -> HttpResponse | None:
    """Redirect to where the action was chosen; None leaves that to the change list."""
    if asked.object_id is None:
        return None
    return HttpResponseRedirect(_list(asked) if gone else _address(asked))


def _address(asked: Asked) -> str:
    if asked.object_id is None:
        return asked.request.get_full_path()
    opts = asked.model_admin.opts
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[asked.object_id])


def _list(asked: Asked) -> str:
    opts = asked.model_admin.opts
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
