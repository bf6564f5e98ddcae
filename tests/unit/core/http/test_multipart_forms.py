"""Multipart forms: every part as it was sent, or an error that says what is wrong."""

import io

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from core.exceptions import InvalidRequest
from core.http import multipart_forms
from core.http.multipart_forms import FormPart, read_form

BOUNDARY = "xYz0123456789"
contents = st.binary(max_size=300) | st.sampled_from([b"\r\n", b"--xYz", b"\r\n--xYz01", b"a" * 5000])


def encoded(parts: list[FormPart], end: str = "--\r\n") -> bytes:
    """Return a form's body."""
    body = b""
    for part in parts:
        file = f'; filename="{part.filename}"' if part.filename else ""
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part.name}"{file}\r\n\r\n'.encode()
        body += part.content + b"\r\n"
    return body + f"--{BOUNDARY}{end}".encode()


def request_of(body: bytes, kind: str = f"multipart/form-data; boundary={BOUNDARY}") -> WSGIRequest:
    return RequestFactory().generic("POST", "/", body, content_type=kind)


@given(
    parts=st.lists(
        st.builds(
            FormPart, st.sampled_from(["file", "texts", "ü"]), st.sampled_from(["", "a.png"]), contents
        ),
        min_size=1,
        max_size=4,
    ),
    chunk=st.integers(1, 200),
)
def test_every_part_is_read_as_it_was_sent(parts: list[FormPart], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart_forms, "CHUNK_BYTES", chunk)
        assert read_form(request_of(encoded(parts))) == parts


def test_a_plain_field_is_text_whatever_its_bytes() -> None:
    assert FormPart("texts", "", "ü".encode()).text == "ü"
    assert FormPart("texts", "", b"\xff").text == "\ufffd"


def test_base64_is_decoded_where_it_is_said_to_be() -> None:
    head = 'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: base64'
    body = f"--{BOUNDARY}\r\n{head}\r\n\r\nYWJj\r\n--{BOUNDARY}--\r\n".encode()
    assert read_form(request_of(body)) == [FormPart("file", "a", b"abc")]
    with pytest.raises(InvalidRequest, match="base64"):
        read_form(request_of(body.replace(b"YWJj", b"YWJ")))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(encoded([FormPart("a", "", b"x")], end=""), None, id="no end"),
        pytest.param(encoded([FormPart("a", "", b"x" * 500)])[:200], None, id="cut off"),
        pytest.param(b"no form", None, id="no form"),
        pytest.param(encoded([FormPart("a", "", b"x")]), "multipart/form-data", id="no boundary"),
        pytest.param(encoded([FormPart("n" * 5000, "", b"x")]), None, id="long header"),
        pytest.param(encoded([FormPart("a", "", b"")] * 1500), None, id="many parts"),
        pytest.param(
            f"--{BOUNDARY}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(), None, id="a part without a name"
        ),
    ],
)
def test_what_is_no_whole_form_is_refused(body: bytes, kind: str | None) -> None:
    with pytest.raises(InvalidRequest, match="cannot be understood"):
        read_form(request_of(body, kind) if kind else request_of(body))


def test_a_client_that_goes_away_is_an_error_of_its_own() -> None:
    request = request_of(encoded([FormPart("a", "", b"x")]))

    class Gone(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("connection reset")

    request._stream = Gone()
    with pytest.raises(InvalidRequest):
        read_form(request)
