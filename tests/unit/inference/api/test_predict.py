"""One view answers predictions: every kind of body, ahead of sessions and of people's rights."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.factories import UserFactory
from tests.tiny_models import live_colour_model, live_mood_model, picture

pytestmark = pytest.mark.django_db

BOUNDARY = "xYz0123456789"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
FILE = 'Content-Disposition: form-data; name="file"; filename="a.png"'
BASE64 = f"{FILE}\r\nContent-Transfer-Encoding: base64"
TEXT = 'Content-Disposition: form-data; name="texts"'


def form(*parts: tuple[str, bytes], end: str = "--\r\n") -> bytes:
    """Return a form's body of parts: their headers and contents."""
    lines = [f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts]
    return b"".join(lines) + f"--{BOUNDARY}{end}".encode()


def post(
    token: str, body: bytes, kind: str, query: str = "", client: Client | None = None, **headers: str
) -> Any:
    client = client or Client()
    path = f"/api/v1/models/{token}/predict/{query}"
    return client.post(path, body, kind, headers={"Content-Type": kind, **headers})


def labels(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [prediction["label"] for prediction in response.json()["predictions"]]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(json.dumps({"texts": ["glad", "ünd sad"]}).encode(), JSON, id="JSON"),
        pytest.param(b'{"texts": ["glad", "\\u00fcnd sad"]}', f"{JSON}; charset=utf-8", id="its charset"),
        pytest.param(b"texts=glad&texts=%C3%BCnd+sad", FORM, id="fields"),
        pytest.param(form((TEXT, b"glad"), (TEXT, "ünd sad".encode())), MULTIPART, id="a form's fields"),
    ],
)
def test_texts_come_in_every_kind_of_body(body: bytes, kind: str) -> None:
    assert labels(post(live_mood_model().token, body, kind)) == ["joy", "sorrow"]


def test_files_of_a_form_are_classified_in_order() -> None:
    red, blue = picture("red"), picture("blue")
    token = live_colour_model().token
    assert labels(post(token, form((FILE, red)), MULTIPART)) == ["red"]
    assert labels(post(token, form((FILE, blue), (FILE, red)), MULTIPART)) == ["blue", "red"]
    assert labels(post(token, b"before\r\n" + form((FILE, red)) + b"after", MULTIPART)) == ["red"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        pytest.param(
            form((FILE.replace("file", "photo"), b"a")), MULTIPART, 400, "photo", id="another field"
        ),
        pytest.param(form((FILE.replace("a.png", ""), b"a")), MULTIPART, 400, "file=@", id="no file name"),
        pytest.param(form((FILE.replace("a.png", ""), b"")), MULTIPART, 400, "1 to", id="no file chosen"),
        pytest.param(form((FILE, b"a"), end=""), MULTIPART, 400, "understood", id="no end"),
        pytest.param(form((FILE, b"")), MULTIPART, 400, "image", id="empty file"),
        pytest.param(form((BASE64, b"YQ=")), MULTIPART, 400, "understood", id="broken base64"),
        pytest.param(
            form((FILE, b"a")), MULTIPART.replace("x", "y"), 400, "understood", id="another boundary"
        ),
        pytest.param(b"", MULTIPART, 400, "1 to", id="empty form"),
        pytest.param(b"x", "multipart/form-data", 400, "understood", id="no boundary"),
        pytest.param(b"", FORM, 400, "1 to", id="empty fields"),
        pytest.param(b"", JSON, 400, "list of strings", id="empty JSON"),
        pytest.param(b"", "text/plain", 400, "list of strings", id="nothing"),
        pytest.param(b'{"texts": ["\xff"]}', JSON, 400, "UTF-8", id="not UTF-8"),
        pytest.param(b"[" * 100_000, JSON, 400, "nested", id="nested"),
        pytest.param(b"x", "text/plain", 415, "text/plain", id="another kind"),
    ],
)
def test_what_cannot_be_used_is_a_problem(body: bytes, kind: str, status: int, words: str) -> None:
    response = post(live_colour_model().token, body, kind)
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    told = response.json()
    assert words in told["detail"] or words in told["errors"]


def test_the_address_says_how_to_predict() -> None:
    token, body = live_colour_model().token, form((FILE, picture("red")))
    assert "explanation" not in post(token, body, MULTIPART, "?explain=0").json()["predictions"][0]
    assert "explanation" in post(token, body, MULTIPART, "?explain=1").json()["predictions"][0]
    assert post(token, body, MULTIPART, "?explain=perhaps").json()["errors"]["explain"]


def test_the_answer_is_written_as_it_is_accepted() -> None:
    token, body = live_colour_model().token, form((FILE, picture("red")))
    plain = post(token, body, MULTIPART)
    assert b"\n" not in plain.content
    assert int(plain["Content-Length"]) == len(plain.content)
    assert post(token, body, MULTIPART, Accept="application/*;q=0.5").json()["model"] == token
    assert b"\n    " in post(token, body, MULTIPART, Accept="application/json; indent=4").content
    refused = post(token, body, MULTIPART, Accept="text/csv")
    assert (refused.status_code, refused["Content-Type"]) == (406, "application/problem+json")


def test_answers_and_problems_have_the_same_headers() -> None:
    token = live_colour_model().token
    for body in (picture("red"), b"no image"):
        response = post(token, form((FILE, body)), MULTIPART)
        assert response["Allow"] == "POST, OPTIONS"
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Request-ID"]
        assert response["Content-Security-Policy"]
    assert Client().options(f"/api/v1/models/{token}/predict/").json()["parses"][0] == "multipart/form-data"


def test_nobody_is_looked_up_to_predict() -> None:
    token, client = live_colour_model().token, Client()
    client.force_login(UserFactory())
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert labels(post(token, form((FILE, picture("red"))), MULTIPART, client=client)) == ["red"]
    tables = (User._meta.db_table, "django_session")
    assert not any(table in query["sql"] for query in asked for table in tables)


def test_an_unknown_host_is_refused() -> None:
    body = form((FILE, picture("red")))
    assert post(live_colour_model().token, body, MULTIPART, Host="elsewhere.example").status_code == 400


def test_a_refused_prediction_counts_once(settings: Any) -> None:
    limited = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "predict-token": "3/hour"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": limited}
    token = live_colour_model().token
    wrong, right = form((FILE, b"no image")), form((FILE, picture("red")))
    answers = [post(token, body, MULTIPART) for body in (wrong, right, right, right)]
    assert [answer.status_code for answer in answers] == [400, 200, 200, 429]
    assert answers[-1].json()["detail"].startswith("Too many requests.")
    assert int(answers[-1]["Retry-After"]) > 0
