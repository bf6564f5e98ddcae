"""JSON bodies as the REST API takes them."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class BoundedJSONParser(JSONParser):
    """JSON whose lists and objects are not nested deeper than Python's stack goes."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the value. Raises `ParseError`."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - it is nested too deeply") from error


class FirstRenderer(BaseContentNegotiation):
    """Answers in the view's own format, whatever a client says that it accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the first parser."""
        return next(iter(parsers), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
