"""Large bodies are refused from their heads: whoever reads the body in these tests fails them."""

from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from control.models import PlatformStatus
from core.http.head_only import ASKED_ABOVE, HEAD_ONLY
from tests.factories import ArtifactFactory, UserFactory

pytestmark = pytest.mark.django_db

MULTIPART = "multipart/form-data; boundary=x"
UNKNOWN = "imageClassification-nobody-1"
OURS, FORGED = "a" * 32, "b" * 32


class Unread:
    """A body that must not be read."""

    def read(self, *_: int) -> bytes:
        raise AssertionError("the body was read")

    readline = read

    def close(self) -> None:
        """As every input has."""


@pytest.fixture(params=["our server", "another server"])
def head_only(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "our server")


@pytest.fixture
def token() -> str:
    return str(ArtifactFactory().model.token)


def send(
    address: str,
    *,
    head_only: bool,
    client: Client | None = None,
    kind: str = MULTIPART,
    method: str = "POST",
    length: int = ASKED_ABOVE + 1,
    **headers: str,
) -> Any:
    client = client or Client(enforce_csrf_checks=True)
    client.raise_request_exception = False
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": address,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(length),
        "wsgi.input": Unread(),
        **({HEAD_ONLY: True} if head_only else {}),
        **headers,
    }
    return client.request(**environ)


def with_cookie(*, signed_in: bool = True) -> Client:
    client = Client(enforce_csrf_checks=True)
    if signed_in:
        client.force_login(UserFactory())
    client.cookies["csrftoken"] = OURS
    return client


def is_read(response: HttpResponseBase) -> bool:
    """Whether the body is read: our server is told to go on, another one goes on itself."""
    return response.status_code in (100, 500)


@pytest.mark.parametrize(
    "address",
    [
        f"/api/v1/models/{UNKNOWN}/predict/",
        f"/api/v1/models/{UNKNOWN}/batches/",
        f"/api/v1/models/a{'b' * 200}/batches/",
        "/api/v1/nowhere/",
        "/nowhere/",
    ],
)
def test_what_is_sent_nowhere_is_not_read(address: str, head_only: bool) -> None:
    assert send(address, head_only=head_only).status_code == 404


@pytest.mark.parametrize("name", ["inference:try", "inference:batches"])
def test_forms_to_unknown_models_are_not_read(name: str, head_only: bool) -> None:
    client = with_cookie(signed_in=False)
    assert send(reverse(name, args=[UNKNOWN]), head_only=head_only, client=client).status_code == 404


@pytest.mark.parametrize("name", ["api-predict", "api-batch-list"])
def test_what_is_sent_to_a_model_is_read(name: str, head_only: bool, token: str) -> None:
    assert is_read(send(reverse(name, args=[token]), head_only=head_only))


def test_data_of_strangers_is_not_read(head_only: bool) -> None:
    address = reverse("api-dataset-list")
    assert send(address, head_only=head_only).status_code == 401
    assert send(address, head_only=head_only, HTTP_AUTHORIZATION="Token x").status_code == 401
    client = with_cookie(signed_in=False)
    response = send(reverse("training:upload"), head_only=head_only, client=client)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("name", ["training:upload", "api-dataset-list"])
def test_forms_of_other_sites_are_not_read(name: str) -> None:
    address, client = reverse(name), Client(enforce_csrf_checks=True)
    client.force_login(UserFactory())
    assert send(address, head_only=True, client=client).status_code == 403, "there is no cookie"
    client.cookies["csrftoken"] = OURS
    away = {"HTTP_ORIGIN": "https://evil.example"}
    assert send(address, head_only=True, client=client, **away).status_code == 403
    assert send(address, head_only=True, client=client, HTTP_X_CSRFTOKEN=FORGED).status_code == 403
    assert send(address, head_only=True, client=client, HTTP_X_CSRFTOKEN=OURS).status_code == 100
    assert send(address, head_only=True, client=client).status_code == 100, "the token may be in the form"


@pytest.mark.parametrize("name", ["training:upload", "api-dataset-list"])
def test_a_form_whose_token_is_wrong_does_nothing(name: str) -> None:
    """What passes for the head's sake is looked at again when the form is there."""
    form = {"csrfmiddlewaretoken": FORGED, "file": "x" * (ASKED_ABOVE + 1)}
    assert with_cookie().post(reverse(name), form).status_code == 403


@pytest.mark.parametrize(
    "name", ["account_login", "account_signup", "accounts:tokens", "training:new", "home"]
)
def test_pages_take_nothing_large(name: str, head_only: bool) -> None:
    assert send(reverse(name), head_only=head_only, client=with_cookie()).status_code == 413


def test_kinds_and_methods_that_an_address_does_not_take_are_not_read(head_only: bool, token: str) -> None:
    address = reverse("api-batch-list", args=[token])
    assert send(address, head_only=head_only, kind="application/json").status_code == 415
    assert send(address, head_only=head_only, method="PUT").status_code == 405


def test_nothing_is_read_while_the_platform_is_halted(head_only: bool, token: str, settings: Any) -> None:
    settings.FLASH_ALLOW_TRAINING = True
    PlatformStatus.load()
    PlatformStatus.objects.update(dev_mode=True)
    addresses = [reverse("training:upload"), reverse("api-dataset-list")]
    addresses += [reverse(name, args=[token]) for name in ("api-predict", "api-batch-list", "inference:try")]
    for address in addresses:
        response = send(address, head_only=head_only, client=with_cookie(), HTTP_X_CSRFTOKEN=OURS)
        assert (address, response.status_code) == (address, 503)
    assert "halted" in send(reverse("flash:train"), head_only=head_only).json()["message"]


def test_flash_may_be_closed_to_strangers(head_only: bool, settings: Any) -> None:
    settings.FLASH_ALLOW_TRAINING = False
    assert "switched off" in send(reverse("flash:train"), head_only=head_only).json()["message"]


@pytest.mark.parametrize("address", ["/", "/api/v1/datasets/", "/flash/train"])
def test_bodies_without_a_length_are_not_read(address: str, head_only: bool) -> None:
    response = send(address, head_only=head_only, length=0, HTTP_TRANSFER_ENCODING="chunked")
    assert response.status_code == 411
