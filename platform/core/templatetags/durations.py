"""Spans of time in the words of people."""

from datetime import timedelta

from django import template

register = template.Library()

UNITS = ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))


@register.filter
def duration(span: timedelta | float | None) -> str:
    """Return a span (or seconds) with its two largest units: "2 hours 5 minutes", "12.4 seconds"."""
    if span is None:
        return ""
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if seconds < 60:
        return (
            f"{seconds:.1f} seconds" if seconds % 1 >= 0.05 else _counted(round(seconds), "second", "seconds")
        )
    left, words = round(seconds), []
    for size, one, many in UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(_counted(count, one, many))
    return " ".join(words[:2])


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
