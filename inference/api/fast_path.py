"""The short way of the commonest requests: one image file, or texts, to one model, and nothing else asked.

Most of what a prediction costs beside the network is the way to it: sessions, forms and people's rights, none of
which it has. So what is understood completely is answered right here. Everything else, and everything that
goes wrong, takes the long way from the start, so that errors are told in one place.
"""

import json
import re
from collections.abc import Callable, Sequence

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from core.exceptions import LimitExceeded, TrainyardError
from core.http.head_only import ASKED_ABOVE
from core.http.problems import STATUS_OF, problem_response
from core.http.throttles import client_of, count_once

from ..predict.services import predict
from .serializers import answer_json

LARGEST = ASKED_ABOVE  # bytes of a body; larger ones are asked for first, and Django spools them to disk

HEADERS = {"Allow": "POST, OPTIONS", "X-Frame-Options": "DENY"}  # as the long way answers

ADDRESS = re.compile(r"/api/v1/models/([^/\x00]+)/predict/")
FORM = re.compile(r"multipart/form-data; ?boundary=([\w'()+,./:=?-]{1,70})", re.ASCII)
ONLY_FILE = re.compile(
    rb'Content-Disposition: form-data; name="file"; filename="[^"\\\r\n]+"(\r\nContent-Type: [\w.+/-]+)?',
    re.IGNORECASE,
)


class PredictionLane:
    """Middleware that answers predictions which need none of the middleware behind it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        address = ADDRESS.fullmatch(request.path_info) if request.method == "POST" else None
        return (address and _answer(request, address[1])) or self.get_response(request)


def _answer(request: HttpRequest, token: str) -> HttpResponse | None:
    inputs = _inputs(request)
    if not inputs or not count_once(request, {"predict-token": token, "predict-address": client_of(request)}):
        return None
    try:
        request.get_host()
        answer = predict(token=token, inputs=inputs)
    except LimitExceeded as error:  # the long way would run the model once more
        return problem_response(STATUS_OF[LimitExceeded], str(error))
    except (TrainyardError, DisallowedHost):
        return None
    body = json.dumps(answer_json(answer), ensure_ascii=False, separators=(",", ":")).encode()
    length = {"Content-Length": str(len(body))}
    return HttpResponse(body, content_type="application/json", headers=HEADERS | length)


def _inputs(request: HttpRequest) -> Sequence[bytes | str] | None:
    """Return what is to be classified; None when the long way has to look at it."""
    meta = request.META
    kind, length = meta.get("CONTENT_TYPE", ""), meta.get("CONTENT_LENGTH", "")
    if meta.get("QUERY_STRING") or not length.isdecimal() or int(length) > LARGEST:
        return None
    if kind == "application/json":
        return _texts(request.body)
    form = FORM.fullmatch(kind)
    return None if form is None else _file(request.body, form[1].encode())


def _texts(body: bytes) -> list[bytes | str] | None:
    try:
        given = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    texts = given.get("texts") if isinstance(given, dict) else None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None


def _file(body: bytes, boundary: bytes) -> list[bytes | str] | None:
    """Return the content of a form's only part, if that is an image file as clients send it."""
    mark = b"--" + boundary
    start, end = body.find(b"\r\n\r\n"), body.rfind(b"\r\n" + mark + b"--")
    if start < 0 or end <= start + 4 or body.count(mark) != 2:
        return None
    head, tail = body[:start], body[end + len(mark) + 4 :]
    known = head.startswith(mark + b"\r\n") and ONLY_FILE.fullmatch(head, len(mark) + 2)
    return [body[start + 4 : end]] if known and tail in (b"", b"\r\n") else None
