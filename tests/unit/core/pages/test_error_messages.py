import pytest
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest
from django.test import RequestFactory

from core.exceptions import InvalidRequest, MaintenanceMode, PlatformBusy, TrainyardError
from core.pages.error_messages import errors_as_messages


@pytest.fixture
def request_with_messages(rf: RequestFactory) -> HttpRequest:
    request = rf.post("/")
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    return request


def _words(request: HttpRequest) -> list[tuple[str, str]]:
    return [(message.level_tag, message.message) for message in get_messages(request)]


def test_an_expected_error_becomes_a_message_and_ends_the_block(request_with_messages: HttpRequest) -> None:
    with errors_as_messages(request_with_messages):
        raise InvalidRequest("The model is gone. Train it again.")
    assert [words for _, words in _words(request_with_messages)] == ["The model is gone. Train it again."]


def test_a_block_without_an_error_leaves_no_message(request_with_messages: HttpRequest) -> None:
    with errors_as_messages(request_with_messages):
        pass
    assert _words(request_with_messages) == []


def test_an_error_of_another_class_is_raised(request_with_messages: HttpRequest) -> None:
    with pytest.raises(PlatformBusy), errors_as_messages(request_with_messages):
        raise PlatformBusy
    assert _words(request_with_messages) == []


def test_maintenance_is_raised_even_where_every_error_is_expected(request_with_messages: HttpRequest) -> None:
    with pytest.raises(MaintenanceMode), errors_as_messages(request_with_messages, TrainyardError):
        raise MaintenanceMode
    assert _words(request_with_messages) == []
