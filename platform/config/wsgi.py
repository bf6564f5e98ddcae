"""The WSGI entry point."""

import os
import sys
from pathlib import Path
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "platform")) if path not in sys.path]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")


class Utf8Request(WSGIRequest):
    """Reads addresses and forms as UTF-8, whatever a client says; the middleware refuses other encodings.

    Django would read the address in the encoding that Content-Type names before anything can answer, and fail for
    those of Python's that are no text.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Handler(WSGIHandler):
    """Django's, with our request."""

    request_class = Utf8Request


django.setup(set_prefix=False)
application = Handler()

from core.queue.app import require_configured_broker  # noqa: E402 - the settings have to be there

require_configured_broker()  # a server that would announce jobs to nobody must not come up
