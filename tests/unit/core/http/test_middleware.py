import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import RegisteredModelFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_limits(settings: Any) -> None:
    settings.TRAINYARD = {**settings.TRAINYARD, "MAX_PREDICT_BYTES": 1000, "MAX_DATASET_BYTES": 5_000_000}


class Unread:
    """A body that must not be read."""

    def read(self, *_: int) -> bytes:
        raise AssertionError("the body was read")

    readline = read

    def close(self) -> None:
        """As every input has."""


def post(address: str, length: int, accept: str = "*/*") -> Any:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": address,
        "CONTENT_TYPE": "multipart/form-data; boundary=x",
        "CONTENT_LENGTH": str(length),
        "HTTP_ACCEPT": accept,
        "wsgi.input": Unread(),
    }
    return Client(raise_request_exception=False).request(**environ)


@pytest.mark.parametrize("address", ["api-predict", "account_login"])
def test_large_body_is_refused_before_it_is_read(address: str) -> None:
    arguments = [RegisteredModelFactory().token] if address == "api-predict" else []
    response = post(reverse(address, args=arguments), 3_000_000)
    assert response.status_code == 413
    assert "1000" in response.json()["detail"]


def test_data_sets_may_be_larger() -> None:
    assert post(reverse("api-dataset-list"), 3_000_000).status_code != 413
    assert post(reverse("api-dataset-list"), 9_000_000).status_code == 413
    assert post(reverse("api-dataset-plan"), 3_000_000).status_code != 413
    assert post(reverse("api-dataset-plan"), 9_000_000).status_code == 413


def test_people_get_a_page() -> None:
    response = post(reverse("account_login"), 3_000_000, accept="text/html")
    assert response.status_code == 413
    assert "Too large" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?name=%00", {}),
        ("?a%00b", {}),
        ("", {"Cookie": 'sessionid="\\000aaaaaaaa"'}),
        ("", {"Content-Type": "application/json; charset=utf-7"}),
        ("", {"Content-Type": "text/plain; charset=latin-1"}),
    ],
)
@pytest.mark.parametrize("path", ["/models/", "/api/v1/models/", "/accounts/login/"])
def test_what_no_text_may_hold_is_a_400(path: str, query: str, headers: dict[str, str]) -> None:
    for accepted in ("text/html", "application/json"):
        assert Client().get(f"{path}{query}", headers={**headers, "Accept": accepted}).status_code == 400


@pytest.mark.parametrize("address", ["/models/%00/", "/api/v1/models/a%00b/predict/", "/flash/%00", "/%00"])
def test_addresses_with_a_nul_lead_nowhere(address: str) -> None:
    assert Client().get(address).status_code == 404


@pytest.mark.parametrize(
    ("trusted", "given", "kept"),
    [
        (True, "a-1.b_2", True),
        (True, "x" * 101, False),
        (True, "a b", False),
        (True, "", False),
        (False, "a-1", False),
    ],
)
def test_requests_are_numbered_and_a_proxys_numbers_kept_when_it_is_trusted(
    settings: Any, trusted: bool, given: str, kept: bool
) -> None:
    settings.TRUST_REQUEST_ID = trusted
    answers = [
        Client().get("/health/live/", headers={"X-Request-ID": given})["X-Request-ID"] for _ in range(2)
    ]
    assert (answers == [given, given]) is kept
    assert kept or (len(answers[0]) == 32 and answers[0] != answers[1])


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/"),
        ("get", "/static/nothing.css"),
        ("options", "/flash/status"),
        ("get", "/admin"),
        ("get", "/%00"),
    ],
)
def test_every_answer_has_a_number(method: str, address: str) -> None:
    assert getattr(Client(), method)(address)["X-Request-ID"]


@contextlib.contextmanager
def logged() -> Iterator[io.StringIO]:
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    formatters = (known.formatter for known in logging.getLogger().handlers)
    handler.setFormatter(next(found for found in formatters if hasattr(found, "foreign_pre_chain")))
    logging.getLogger().addHandler(handler)
    try:
        yield sink
    finally:
        logging.getLogger().removeHandler(handler)


def test_log_lines_of_a_request_carry_its_number_and_who_asked() -> None:
    person, client = (
        UserFactory(),
        Client(headers={"X-Forwarded-For": "203.0.113.9"}, REMOTE_ADDR="192.0.2.1"),
    )
    client.force_login(person)
    with logged() as sink:
        response = client.get("/nothing/")
    line = sink.getvalue()
    assert f"request_id={response['X-Request-ID']}" in line
    assert "ip=192.0.2.1" in line, "no proxy is to be believed"
    assert f"user_id={person.pk}" in line
    assert "code=404" in line
    with logged() as sink:
        assert client.get("/health/live/").status_code == 200
    assert sink.getvalue() == ""


def test_flash_and_programs_get_their_own_words() -> None:
    response = post("/flash/inference", 9_000_000, accept="text/html")
    assert response.status_code == 200
    assert "larger" in response.json()["message"]
    response = post("/api/v1/jobs/", 9_000_000, accept="text/html")
    assert response.status_code == 413
    assert response["Content-Type"] == "application/problem+json"
