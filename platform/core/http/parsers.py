"""JSON bodies as the REST API takes them."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from .json_text import holds_half_characters, parse_json

UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")


class TooLong(APIException):
    """A body with more bytes than this kind of request may have."""

    status_code = 413
    default_code = "too_long"


class BoundedJSONParser(JSONParser):
    """JSON in UTF-8 of bounded length, depth and number of values."""

    def limit(self) -> int:
        """Return how many bytes a body may have."""
        return 2**20

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the value. Raises `ParseError`, `TooLong`."""
        encoding = str((parser_context or {}).get("encoding") or "utf-8").lower()
        if encoding not in UTF_8:
            raise ParseError(f"JSON parse error - it is in {encoding[:50]}; send UTF-8")
        limit = self.limit()
        content = stream.read(limit + 1)
        if len(content) > limit:
            raise TooLong(f"This JSON is larger than the {filesizeformat(limit)} that can be sent here.")
        try:
            value = parse_json(content)
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        if holds_half_characters(content, value):
            raise ParseError("JSON parse error - a text holds half of a surrogate pair")
        return value


class TextsParser(BoundedJSONParser):
    """JSON with texts to classify."""

    def limit(self) -> int:
        """Return what a prediction may have, and what stands around its texts."""
        return int(settings.TRAINYARD["MAX_PREDICT_BYTES"]) + super().limit()


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
