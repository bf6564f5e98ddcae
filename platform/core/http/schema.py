"""The OpenAPI description: made by one thread at a time, with what all operations share: the problems of errors."""

from http import HTTPStatus
from threading import Lock
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiResponse

from .problems import PROBLEM_TYPE

UNSAFE = ("post", "put", "patch", "delete")
Description = dict[str, Any]  # a part of an OpenAPI document
METHODS = (*UNSAFE, "get")
PROBLEM = {"$ref": "#/components/schemas/Problem"}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What went wrong and what to do about it, as RFC 9457 describes.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For a person to read."},
        "errors": {"description": "What is wrong with which field.", "type": "object"},
    },
    "required": ["type", "title", "status", "detail"],
}
WHEN = {
    400: "The request is invalid; `detail` or `errors` say what to change.",
    401: "The API token or the password is missing or wrong.",
    403: "The caller has no permission to do this.",
    404: "Unknown, expired, or not visible to the caller.",
    406: "The answer is not available in the requested media type.",
    409: "Somebody else has changed it meanwhile, or, for a new job: too many have not ended, or one runs and the "
    "platform does not queue others.",
    411: "The body has no `Content-Length`.",
    413: "The body is larger than this address accepts, or the account's quota is used up.",
    415: "The body's media type is not one that this address accepts.",
    416: "The requested range lies outside the file.",
    429: "Too many requests; `Retry-After` tells the seconds to wait.",
    503: "The platform is halted for maintenance, or its bucket does not answer.",
}


class OneAtATime(SchemaGenerator):
    """Describes the API in one thread at a time.

    The library looks up the classes that its extensions are for as it goes, and keeps them where all threads look: two
    that begin together see them half done.
    """

    _lock = Lock()

    def get_schema(self, *args: Any, **kwargs: Any) -> Any:
        """Return the description."""
        with self._lock:
            return super().get_schema(*args, **kwargs)


def problems(*codes: int) -> dict[int, OpenApiResponse]:
    """Return the responses of a call that are errors of its own, for `extend_schema`."""
    return {code: OpenApiResponse(description=WHEN[code]) for code in codes}


def document_problems(result: Description, **_: object) -> dict[str, object]:
    """Add to each operation the errors that it may answer with; a postprocessing hook of drf-spectacular."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    for path, calls in result["paths"].items():
        for method, call in calls.items():
            if method in METHODS:
                own = (int(code) for code in call["responses"] if int(code) >= HTTPStatus.BAD_REQUEST)
                for code in {*own, *_common(path, method, call)}:
                    call["responses"][str(code)] = _response(code)
    return result


def _common(path: str, method: str, call: Description) -> set[int]:
    """Return the status codes of errors that follow from an operation's method, security and parameters."""
    codes = {400, 406, 429, 503}
    known_only = {} not in call.get("security", [{}])
    if call.get("security"):
        codes.add(401)
    if known_only and method in UNSAFE:
        codes.add(403)  # a session without its CSRF token
    if "{" in path or any(parameter["name"] == "cursor" for parameter in call.get("parameters", [])):
        codes.add(404)
    if method in UNSAFE:
        codes |= {411, 413, 415}  # a body, wanted or not: in chunks, too large, of a kind that nobody reads
    return codes


def _response(code: int) -> dict[str, object]:
    response: Description = {"description": WHEN[code], "content": {PROBLEM_TYPE: {"schema": PROBLEM}}}
    if code in (429, 503):
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return response
