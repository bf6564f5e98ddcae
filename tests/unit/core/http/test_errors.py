"""An expected error has one status and one wording, wherever it is met."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from rest_framework.exceptions import Throttled
from rest_framework.views import APIView

from config.urls import handler400, handler403, handler404, handler500  # noqa: F401 - Django looks for them here
from core import exceptions
from core.exceptions import TrainyardError
from core.http.errors import NOTHING_HERE, STATUS_OF, status_of
from core.http.flash import FlashView

WORDS = "The <thing> is & stays broken."
ESCAPED = "The &lt;thing&gt; is &amp; stays broken."
SECONDS = 7


def subclasses(of: type[TrainyardError]) -> Iterator[type[TrainyardError]]:
    """Yield a class and all below it that the core defines."""
    if of.__module__ == exceptions.__name__:
        yield of
        for kind in of.__subclasses__():
            yield from subclasses(kind)


KINDS = {kind.__name__: kind for kind in subclasses(TrainyardError)}


def error_of(name: str) -> Exception:
    kind = KINDS[name]
    if kind is exceptions.TooManyRequests:
        return kind(SECONDS)
    takes_words = kind.__init__ in (Exception.__init__, TrainyardError.__init__)
    return kind(WORDS) if takes_words else kind()


def page(request: HttpRequest, name: str) -> HttpResponse:
    raise error_of(name)


class Rest(APIView):
    permission_classes = ()

    def get(self, request: Any, name: str) -> Any:
        raise Throttled(SECONDS) if name == "Throttled" else error_of(name)


class Flash(FlashView):
    def get(self, request: Any, name: str) -> Any:
        raise Throttled(SECONDS) if name == "Throttled" else error_of(name)


urlpatterns = [
    path("", page, name="home"),
    path("page/<name>/", page),
    path("api/<name>/", Rest.as_view()),
    path("flash/<name>/", Flash.as_view()),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.unit.core.http.test_errors")]


def get(address: str, accept: str = "*/*") -> Any:
    return Client(raise_request_exception=False).get(address, headers={"Accept": accept})


@pytest.mark.parametrize("name", KINDS)
def test_an_error_is_the_same_over_rest_on_a_page_and_to_a_program(name: str) -> None:
    error = error_of(name)
    assert isinstance(error, TrainyardError)
    words = NOTHING_HERE if name == "NotFound" else str(error)
    rest, shown, program = get(f"/api/{name}/"), get(f"/page/{name}/", "text/html"), get(f"/page/{name}/")
    assert {rest.status_code, shown.status_code, program.status_code} == {status_of(error)}
    assert rest.json() == program.json()
    assert (rest.json()["detail"], rest.json()["title"]) == (words, status_of(error).phrase)
    assert len({answer.get("Retry-After") for answer in (rest, shown, program)}) == 1
    assert "<h1>" in shown.content.decode()
    if status_of(error) != 404:  # whose page is everybody's
        assert words.replace(WORDS, ESCAPED) in shown.content.decode()


@pytest.mark.parametrize("name", KINDS)
def test_flash_says_the_same_in_its_envelope(name: str) -> None:
    answer = get(f"/flash/{name}/")
    assert (answer.status_code, answer.json()["result"]) == (200, "error")
    assert answer.json()["message"] == str(error_of(name))


def test_limits_of_rest_framework_are_told_as_ours() -> None:
    ours, theirs = get("/api/TooManyRequests/"), get("/api/Throttled/")
    assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    assert ours["Retry-After"] == theirs["Retry-After"] == str(SECONDS)


def test_every_error_of_the_core_has_a_status_of_its_own_or_of_its_parent() -> None:
    assert set(STATUS_OF) <= set(KINDS.values())
    assert status_of(type("Closer", (exceptions.QuotaExceeded,), {})()) == 413
    assert status_of(type("Other", (TrainyardError,), {})()) == 400
