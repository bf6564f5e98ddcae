"""The short way of a prediction: the same answers as the long one, and nothing that it does not understand."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.test import Client, RequestFactory
from django.urls import reverse
from hypothesis import example, given
from hypothesis import strategies as st

from inference.api import fast_path
from inference.api.fast_path import PredictionLane
from tests.tiny_models import live_colour_model, live_mood_model, picture

BOUNDARY = "xYz0123456789"
OWN = {"Content-Length", "X-Request-ID"}  # of each answer


def form(*parts: tuple[str, bytes], end: str = "--\r\n") -> bytes:
    """Return a form's body of parts: their headers and contents."""
    lines = [f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts]
    return b"".join(lines) + f"--{BOUNDARY}{end}".encode()


def named(name: str = "file", filename: str = "a.png", more: str = "\r\nContent-Type: image/png") -> str:
    return f'Content-Disposition: form-data; name="{name}"; filename="{filename}"{more}'


def post(token: str, body: bytes, content_type: str, query: str = "") -> Any:
    return Client().post(f"/api/v1/models/{token}/predict/{query}", body, content_type)


def takes(
    token: str,
    body: bytes,
    content_type: str,
    *,
    query: str = "",
    method: str = "POST",
    host: str = "testserver",
) -> bool:
    """Say whether the short way answers; if not, the long one has to find the body as it was."""
    handed_on: list[HttpRequest] = []

    def long_way(request: HttpRequest) -> HttpResponse:
        handed_on.append(request)
        return HttpResponse(status=418)

    path = f"/api/v1/models/{token}/predict/{query}"
    request = RequestFactory().generic(method, path, body, content_type, headers={"Host": host})
    response = PredictionLane(long_way)(request)
    assert (response.status_code == 418) == bool(handed_on)
    assert all(request.body == body for request in handed_on)
    return not handed_on


FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.mark.django_db
@pytest.mark.parametrize("task", ["image", "text"])
def test_both_ways_answer_alike(task: str) -> None:
    if task == "image":
        token, body, kind = live_colour_model().token, form((named(), picture("red"))), FORM
    else:
        token = live_mood_model().token
        body, kind = json.dumps({"texts": ["good", "ünd bad"]}).encode(), "application/json"
    assert takes(token, body, kind)
    short, long = post(token, body, kind), post(token, body, kind, "?explain=0")
    assert short.status_code == long.status_code == 200
    answers = [{**answer.json(), "milliseconds": 0} for answer in (short, long)]
    assert answers[0] == answers[1]
    headers = [{k: v for k, v in answer.headers.items() if k not in OWN} for answer in (short, long)]
    assert headers[0] == headers[1]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(form((named(), b"a"), (named(), b"b")), FORM, id="two files"),
        pytest.param(form((named("photo"), b"a")), FORM, id="another field"),
        pytest.param(form((named(filename=""), b"a")), FORM, id="no file name"),
        pytest.param(form((named(more="\r\nContent-Transfer-Encoding: base64"), b"YQ==")), FORM, id="base64"),
        pytest.param(form((named(), b"")), FORM, id="empty file"),
        pytest.param(form((named(), b"a"), end=""), FORM, id="no end"),
        pytest.param(form((named(), b"a"), end="--\r\nmore"), FORM, id="something after the end"),
        pytest.param(b"before" + form((named(), b"a")), FORM, id="something before"),
        pytest.param(form((named(), b"a")), FORM.replace("xYz", "abc"), id="another boundary"),
        pytest.param(form((named(), b"a")), FORM + "; charset=utf-8", id="another parameter"),
        pytest.param(b"", FORM, id="nothing"),
        pytest.param(b'{"texts": "one"}', "application/json", id="no list"),
        pytest.param(b'{"texts": [1]}', "application/json", id="no text"),
        pytest.param(b'{"texts": []}', "application/json", id="no texts"),
        pytest.param(b"[]", "application/json", id="no object"),
        pytest.param(b"{", "application/json", id="broken"),
        pytest.param(b'{"texts": ["\xff"]}', "application/json", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "application/json", id="nested"),
        pytest.param(b"texts=one", "application/x-www-form-urlencoded", id="fields"),
    ],
)
def test_what_is_not_understood_completely_goes_the_long_way(body: bytes, kind: str) -> None:
    assert not takes(live_colour_model().token, body, kind)


def test_it_listens_where_predictions_are_asked_for() -> None:
    found = fast_path.ADDRESS.fullmatch(reverse("api-predict", args=["a-token"]))
    assert found is not None
    assert found[1] == "a-token"


@pytest.mark.django_db
def test_other_requests_go_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    token, body = live_colour_model().token, form((named(), picture("red")))
    assert not takes(token, body, FORM, query="?explain=1")
    assert not takes(token, body, FORM, method="PUT")
    assert not takes("unknown", body, FORM)
    assert not takes(token, body, FORM, host="elsewhere.example")
    assert not takes(token, form((named(), b"no image")), FORM)
    monkeypatch.setattr(fast_path, "LARGEST", len(body) - 1)
    assert not takes(token, body, FORM)


@pytest.mark.django_db
def test_a_request_counts_once_whichever_way_it_goes(settings: Any) -> None:
    limited = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "predict-token": "3/hour"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": limited}
    token = live_colour_model().token
    wrong, right = form((named(), b"no image")), form((named(), picture("red")))
    codes = [post(token, body, FORM).status_code for body in (wrong, right, right, right)]
    assert codes == [400, 200, 200, 429]


def read_by_django(body: bytes) -> dict[str, list[bytes]] | None:
    meta = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": len(body)}
    try:
        _, files = MultiPartParser(meta, BytesIO(body), [MemoryHandler()]).parse()
    except MultiPartParserError:
        return None
    return {name: [file.read() for file in found] for name, found in files.lists()}


class MemoryHandler(MemoryFileUploadHandler):
    """Django's own, for a body that is small."""

    def handle_raw_input(self, *_: Any, **__: Any) -> None:
        self.activated = True


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"--",
        BOUNDARY.encode(),
        f"\r\n--{BOUNDARY}".encode(),
        b"\r\n\r\n",
        named().encode(),
        b"a",
        b"",
    ]
)
MESSES = st.lists(PIECES | st.binary(max_size=4), max_size=9).map(b"".join)


@given(MESSES, st.sampled_from(["--\r\n", "--", "", "--\r\nx", "\r\n"]))
@example(b"", "--\r\n")
@example(f"a\r\n--{BOUNDARY}--\r\nb".encode(), "--\r\n")
@example(f"a\r\n--{BOUNDARY}\r\n{named()}\r\n\r\nb".encode(), "--\r\n")
@example(f"a\r\n--{BOUNDARY}9 is another's".encode(), "--\r\n")
@example(f"--{BOUNDARY} in a line".encode(), "--\r\n")
def test_a_form_is_read_as_django_reads_it(content: bytes, end: str) -> None:
    body = form((named(), content), end=end)
    found = fast_path._file(body, BOUNDARY.encode())
    if found is not None:
        assert read_by_django(body) == {"file": found}


@given(MESSES)
def test_a_mess_is_read_as_django_reads_it(body: bytes) -> None:
    found = fast_path._file(body, BOUNDARY.encode())
    if found is not None:
        assert read_by_django(body) == {"file": found}
