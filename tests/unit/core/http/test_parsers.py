"""JSON bodies that would cost much, at every door that takes some."""

import io
import json
import tracemalloc
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.http.json_text import DEEPEST, MOST_ITEMS, parse_json
from tests.factories import RegisteredModelFactory, UserFactory
from tests.tiny_models import live_colour_model, picture

MB = 2**20


@pytest.mark.parametrize(
    "value",
    [
        {"texts": ['a, b, [c] {d}: \\" \\ \u2028'] * 64},
        {"texts": ["," * 20_000] * 64},
        {"n": [1, -1.5, 2e10, None, True], "deep": [[[[{"a": [1]}]]]]},
        "x",
        [],
    ],
)
def test_usual_json_is_read(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=False, indent=2).encode()) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" + b"[]," * 9_000_000 + b"[]]", "more than 10,000 values"),
        (b"[" + b"0," * 10_000_000 + b"0]", "more than 10,000 values"),
        (b"{" + b'"a":0,' * 2_000_000 + b'"a":0}', "more than 10,000 values"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nested too deeply"),
        (b'{"a":' * (DEEPEST + 1) + b"0" + b"}" * (DEEPEST + 1), "nested too deeply"),
        (b'{"a": ' + b"9" * 400 + b"}", "a number of 400 characters"),
        (b'{"a": -0.' + b"9" * 400 + b"}", "a number of 403 characters"),
        (b'{"a": 1e999}', "1e999 is no JSON value"),
        (b"[NaN]", "NaN is no JSON value"),
        (b"[-Infinity]", "-Infinity is no JSON value"),
        (b'"\xff"', "UTF-8"),
        (b'{"a": "' + b"\\" * 999_999, "Unterminated"),
        (b'{"a": "' + b'\\"' * 2_000_000, "Unterminated"),
        (b'{"a": "' + b'\\"' * 2_000_000 + b"\\", "Unterminated"),
        (b"", "Expecting value"),
    ],
)
def test_json_that_costs_much_is_refused_in_the_memory_of_its_text(content: bytes, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            parse_json(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(content) + MB


def test_items_are_counted_outside_of_strings_only() -> None:
    assert len(parse_json(json.dumps(["[{,:" * MOST_ITEMS]).encode())[0]) == 4 * MOST_ITEMS


def post(address: str, body: bytes, kind: str = "application/json", **more: Any) -> Any:
    return Client(raise_request_exception=False).post(address, body, kind, **more)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b'{"texts": [' + b"[]," * 3_000_000 + b"[]]}", "application/json", 400, "more than 10,000 values"),
        (b'{"texts": ["' + b"\\ud800" + b'"]}', "application/json", 400, "surrogate pair"),
        (b'{"texts": [1' + b"0" * 5000 + b"]}", "application/json", 400, "5,001 characters"),
        (b'{"texts": ["a"]}', "application/json; charset=punycode", 400, "UTF-8"),
        (b'{"texts": ["a"]}', "application/json; charset=utf-16", 400, "UTF-8"),
    ],
    ids=["items", "half a character", "digits", "punycode", "utf-16"],
)
def test_predict_refuses_json_that_costs_much(body: bytes, kind: str, status: int, words: str) -> None:
    response = post(reverse("api-predict", args=[live_colour_model().token]), body, kind)
    assert response.status_code == status
    assert words in response.json()["detail"]


@pytest.mark.django_db
def test_other_calls_take_a_megabyte_of_json() -> None:
    client = Client(raise_request_exception=False)
    client.force_login(model_owner := UserFactory())
    model = RegisteredModelFactory(owner=model_owner)
    address = reverse("api-model-detail", args=[model.token])
    response = client.patch(address, json.dumps({"name": "x" * 2 * MB}), "application/json")
    assert response.status_code == 413
    assert "1.0" in response.json()["detail"]
    assert client.patch(address, json.dumps({"name": "y"}), "application/json").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("call", ["check", "download"])
def test_flashs_small_calls_are_refused_above_a_hundred_kilobytes_unread(call: str) -> None:
    class Unread:
        def read(self, *_: int) -> bytes:
            raise AssertionError("the body was read")

        readline = read

        def close(self) -> None:
            """As every input has."""

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/flash/{call}",
        "CONTENT_TYPE": "multipart/form-data; boundary=x",
        "CONTENT_LENGTH": "100001",
        "wsgi.input": Unread(),
    }
    answer = Client(raise_request_exception=False).request(**environ).json()
    assert answer["result"] == "error"
    assert "larger than" in answer["message"]


@pytest.mark.django_db
@pytest.mark.parametrize("call", ["check", "inference", "download"])
def test_flash_refuses_json_that_costs_much(call: str) -> None:
    values = b"[" + b"[]," * 20_000 + b"[]]"
    body = (
        b'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n{"token": ' + values + b"}\r\n--x--\r\n"
    )
    answer = post(f"/flash/{call}", body, "multipart/form-data; boundary=x").json()
    assert answer["result"] == "error"
    assert "more than 10,000 values" in answer["message"]


def form(parts: list[tuple[str, bytes]]) -> bytes:
    return (
        b"".join(b"--x\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
        + b"--x--\r\n"
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "parts",
    [
        [('Content-Disposition: form-data; name="texts"', b"a")] * 5000,
        [('Content-Disposition: form-data; name="file"; filename="a.png"', picture("red"))] * 500,
        [('Content-Disposition: form-data; name="' + "n" * 3_000_000 + '"', b"a")],
        [('Content-Disposition: form-data; name="texts"\r\n' + "X-More: y\r\n" * 100_000 + "Z: z", b"a")],
        [('Content-Disposition: form-data; name="texts"', b"a" * 15_000_000)],
    ],
    ids=["fields", "files", "name", "headers", "one field"],
)
def test_forms_of_too_many_or_too_large_parts_are_the_senders_fault(parts: list[tuple[str, bytes]]) -> None:
    address = reverse("api-predict", args=[live_colour_model().token])
    response = post(address, form(parts), "multipart/form-data; boundary=x")
    assert 400 <= response.status_code < 500


def test_a_stream_is_not_read_beyond_the_limit() -> None:
    from core.http.parsers import BoundedJSONParser, TooLong

    stream = io.BytesIO(b" " * 20 * MB)
    with pytest.raises(TooLong):
        BoundedJSONParser().parse(stream)
    assert stream.tell() == MB + 1
