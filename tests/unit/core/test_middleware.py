from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import RegisteredModelFactory

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


def test_people_get_a_page() -> None:
    response = post(reverse("account_login"), 3_000_000, accept="text/html")
    assert response.status_code == 413
    assert "Too large" in response.content.decode()
