"""What people write about their models, as paragraphs and lists: a little of Markdown, and no HTML at all."""

import re
from itertools import groupby

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

BULLET = re.compile(r"\s*[-*•]\s+")
HEADING = re.compile(r"\s*#+\s+")
# On escaped text, in which no angle bracket is left.
INLINE = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
)


@register.filter
def prose(text: str) -> SafeString:
    """Return paragraphs (parted by an empty line), lists (lines that begin with -), headings (#), **bold**, `code`."""
    parts = ((_part(kind, list(lines)),) for kind, lines in groupby(text.splitlines(), key=_kind))
    return format_html_join("\n", "{}", parts)


def _kind(line: str) -> str:
    if not line.strip():
        return "gap"
    if HEADING.match(line):
        return "heading"
    return "list" if BULLET.match(line) else "words"


def _part(kind: str, lines: list[str]) -> SafeString:
    """Return lines of one kind that follow each other."""
    if kind == "gap":
        return SafeString()
    if kind == "heading":
        return format_html_join(
            "", "<h3>{}</h3>", ((_inline(HEADING.sub("", line, count=1)),) for line in lines)
        )
    if kind == "list":
        items = format_html_join(
            "", "<li>{}</li>", ((_inline(BULLET.sub("", line, count=1)),) for line in lines)
        )
        return format_html("<ul>{}</ul>", items)
    return format_html(
        "<p>{}</p>", format_html_join(SafeString("<br>"), "{}", ((_inline(line),) for line in lines))
    )


def _inline(text: str) -> SafeString:
    safe = str(escape(text.strip()))
    for pattern, shown in INLINE:
        safe = pattern.sub(shown, safe)
    return mark_safe(safe)  # noqa: S308 - escaped above; what was added since is ours
