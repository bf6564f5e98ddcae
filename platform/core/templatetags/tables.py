"""The frame of a table that may be wider than a phone: it is scrolled by itself, by keyboard as well."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_block_tag
def framed_table(content: str, heading: str = "", label: str = "") -> SafeString:
    """Return a table with rows as `content`, named by the heading with this id or by a label."""
    name = format_html('aria-labelledby="{}"', heading) if heading else format_html('aria-label="{}"', label)
    return format_html(
        '<div class="table-holder" role="region" {} tabindex="0"><table class="table-plain">{}</table></div>',
        name,
        content,
    )
