"""Markdown of the model cards, rendered to HTML; HTML in the text is escaped."""

from django import template
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

register = template.Library()

# Started from nothing, so that links, pictures, HTML and whatever a later version adds stay text.
RULES = [
    *("heading", "list"),
    *("newline", "emphasis", "backticks", "escape", "balance_pairs", "fragments_join"),
]
_markdown = MarkdownIt("zero", {"html": False, "breaks": True}).enable(RULES)


@register.filter
def prose(text: str) -> SafeString:
    """Return Markdown's paragraphs, lists, headings (h3 below the page's own), **bold**, *italic* and `code`."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h3"
    shown = _markdown.renderer.render(tokens, _markdown.options, {})
    return mark_safe(shown)  # noqa: S308 - the renderer escapes all text, and no rule lets HTML through
