"""Drill-down by date above a list of the admin, at the cost of two look-ups in an index.

Django's own asks the database which days there are, which reads every row of the list. This one offers
the whole calendar between the first row and the last, and narrows by a range, for which an index serves.
"""

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from django import template
from django.contrib.admin.views.main import ChangeList
from django.db.models import DateTimeField

register = template.Library()

Link = Callable[[date, date], str]  # the address of the list from a day to another, both included

DAYS_TO_LIST = 31
LAST_DAY = date(9999, 1, 1)  # after which there may be no next month


@register.inclusion_tag("admin/date_hierarchy.html")
def calendar(changelist: ChangeList) -> dict[str, object]:
    """Return what the template of Django's date hierarchy needs."""
    name = changelist.date_hierarchy
    field = changelist.model._meta.get_field(name)
    with_time = isinstance(field, DateTimeField)

    def link(first: date, last: date) -> str:
        """Return the address of the list from a day to another, both included."""
        after = last + timedelta(days=1)
        bounds = {f"{name}__gte": _stamp(first, with_time), f"{name}__lt": _stamp(after, with_time)}
        return str(changelist.get_query_string(bounds, [f"{name}__"]))

    chosen = _chosen(changelist.params, name)
    if chosen is None:
        return {"show": True, "back": None, "choices": _from_first_to_last(changelist, name, link)}
    first, last = chosen
    everything = {"link": changelist.get_query_string({}, [f"{name}__"]), "title": "All dates"}
    if first == last:
        return {"show": True, "back": _month(first, link), "choices": [{"title": _day_words(first)}]}
    if (last - first).days < DAYS_TO_LIST:
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        back = _year(first.year, link) if first.day == 1 else everything
        return {"show": True, "back": back, "choices": [_day(day, link) for day in days]}
    months = [date(first.year, number, 1) for number in range(first.month, last.month + 1)]
    return {"show": True, "back": everything, "choices": [_month(month, link) for month in months]}


def _from_first_to_last(changelist: ChangeList, name: str, link: Link) -> list[dict[str, str]]:
    """Return the links to the years of the whole table, or to the months or days of its only year or month.

    The list's own filters are left out: an index knows the first and the last row of a table, and no
    index those of any mixture of filters.
    """
    moments = changelist.root_queryset.order_by(name).values_list(name, flat=True)
    earliest, latest = moments.first(), moments.reverse().first()
    if earliest is None or latest is None:
        return []
    first, last = _as_date(earliest), _as_date(latest)
    if first.year != last.year:
        return [_year(year, link) for year in range(first.year, last.year + 1)]
    if first.month != last.month:
        return [_month(date(first.year, month, 1), link) for month in range(first.month, last.month + 1)]
    return [_day(first + timedelta(days=number), link) for number in range((last - first).days + 1)]


def _chosen(params: dict[str, object], name: str) -> tuple[date, date] | None:
    """Return the first and the last day of the chosen range; None for no range, or one that cannot be parsed."""
    try:
        first, after = (date.fromisoformat(_text(params[f"{name}__{bound}"])[:10]) for bound in ("gte", "lt"))
    except (KeyError, ValueError):
        return None
    return (first, after - timedelta(days=1)) if first < after < LAST_DAY else None


def _text(value: object) -> str:
    return str(value[0] if isinstance(value, list) else value)


def _as_date(value: date | datetime) -> date:
    return value.astimezone(UTC).date() if isinstance(value, datetime) else value


def _stamp(day: date, with_time: bool) -> str:
    return f"{day.isoformat()}T00:00:00Z" if with_time else day.isoformat()


def _year(year: int, link: Link) -> dict[str, str]:
    return {"link": link(date(year, 1, 1), date(year, 12, 31)), "title": str(year)}


def _month(day: date, link: Link) -> dict[str, str]:
    first, last = day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])
    return {"link": link(first, last), "title": f"{day:%B %Y}"}


def _day(day: date, link: Link) -> dict[str, str]:
    return {"link": link(day, day), "title": _day_words(day)}


def _day_words(day: date) -> str:
    return f"{day:%B} {day.day}"
