import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import Throttled, ValidationError

from core.exceptions import BucketError, InvalidRequest, MaintenanceMode, PlatformBusy
from core.http.problems import problem_details_handler


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("Send a list."), 400),
        (PlatformBusy(), 409),
        (MaintenanceMode(), 503),
        (BucketError("The bucket is away."), 503),
        (Http404(), 404),
        (PermissionDenied(), 403),
        (ValidationError({"name": ["Too long."]}), 400),
    ],
)
def test_expected_errors_become_problem_documents(error: Exception, status: int) -> None:
    response = problem_details_handler(error, {})
    assert response is not None
    assert response.status_code == response.data["status"] == status
    assert response.data["detail"]
    assert response.content_type == "application/problem+json"


def test_field_errors_are_named() -> None:
    response = problem_details_handler(ValidationError({"name": ["Too long."]}), {})
    assert response is not None
    assert response.data["errors"]["name"] == ["Too long."]


def test_headers_survive() -> None:
    response = problem_details_handler(Throttled(wait=9), {})
    assert response is not None
    assert response.headers["Retry-After"] == "9"


def test_unexpected_errors_are_left_to_django() -> None:
    assert problem_details_handler(RuntimeError("boom"), {}) is None
