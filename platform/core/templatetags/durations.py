"""Spans of time in words: exact (`duration`), for a column of a table (`short`), estimated (`about`)."""

from datetime import timedelta

from django import template

register = template.Library()

UNITS = ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))


@register.filter
def duration(span: timedelta | float | None) -> str:
    """Return a span (or seconds) with its two largest units: "2 hours 5 minutes", "12.4 seconds"."""
    if span is None:
        return ""
    seconds = _seconds(span)
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


@register.filter
def short(span: timedelta | float) -> str:
    """Return a span (or seconds) for a column of a table: "12.4 s", "3 min 5 s", "2 h 5 min"."""
    seconds = _seconds(span)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def about(seconds: float) -> str:
    """Return an estimate, rounded as people would: "about 10 seconds", "about 3 minutes"."""
    for size, one, many in UNITS[1:3]:
        if seconds >= 1.5 * size:
            return f"about {_counted(round(seconds / size), one, many)}"
    rounded = max(5, 5 * round(seconds / 5))
    return "about 1 minute" if rounded >= 60 else f"about {rounded} seconds"


def _seconds(span: timedelta | float) -> float:
    return span.total_seconds() if isinstance(span, timedelta) else float(span)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
