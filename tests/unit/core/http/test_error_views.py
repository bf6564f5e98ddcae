"""Error pages: plain words, whatever is broken, and never a trace of the code."""

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import path
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from config.urls import handler400, handler403, handler404, handler500  # noqa: F401 - Django looks for them here
from config.urls import urlpatterns as platform_urls


def _fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret of the code")


@csrf_exempt
def _refuses(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns = [*platform_urls, path("fails/", csrf_exempt(_fails)), path("refuses/", _refuses)]


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "413", "429", "500", "503"])
def test_every_error_page_needs_neither_request_nor_database(name: str) -> None:
    page = render_to_string(f"{name}.html")
    assert "<h1>" in page
    assert 'href="/"' in page


@pytest.mark.urls("tests.unit.core.http.test_error_views")
def test_a_fault_of_ours_is_a_plain_page() -> None:
    response = Client(raise_request_exception=False).get("/fails/")
    assert response.status_code == 500
    assert "Something went wrong here" in response.content.decode()
    assert "secret of the code" not in response.content.decode()


def test_views_of_django_use_our_pages() -> None:
    request = RequestFactory().get("/")
    assert "cannot be understood" in defaults.bad_request(request, SuspiciousOperation()).content.decode()
    assert "Permission denied" in defaults.permission_denied(request, PermissionDenied()).content.decode()
    assert "There is nothing here" in defaults.page_not_found(request, Exception()).content.decode()


@pytest.mark.parametrize("address", ["/nowhere/", "/fails/", "/refuses/"])
@pytest.mark.parametrize("boundary", ["", "; boundary=", '; boundary="é"'])
@pytest.mark.urls("tests.unit.core.http.test_error_views")
def test_errors_are_told_whatever_the_body_is(address: str, boundary: str) -> None:
    """The form cannot be read, not even to look for its token."""
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32
    response = client.generic("POST", address, b"--x\r\n", f"multipart/form-data{boundary}")
    wanted = {"/nowhere/": 404, "/fails/": 500, "/refuses/": 403}[address]
    assert response.status_code == wanted
    assert "<h1>" in response.content.decode()


def test_form_without_its_token_is_explained() -> None:
    response = Client(enforce_csrf_checks=True).post("/models/x/try/")
    assert response.status_code == 403
    assert "This form is too old" in response.content.decode()


def test_pages_carry_a_policy_that_forbids_inline_script_and_style() -> None:
    response = Client().get("/accounts/login/nothing/")
    policy = response["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
