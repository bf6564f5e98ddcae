"""What a service refuses, as a message on the page that a person is led to next."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.http import HttpRequest

from ..exceptions import InvalidRequest, MaintenanceMode, TrainyardError


@contextmanager
def errors_as_messages(
    request: HttpRequest, expected: type[TrainyardError] = InvalidRequest
) -> Iterator[None]:
    """Turn an expected error of the block into a message; the code after the block then runs as usual.

    `MaintenanceMode` and what is not of the expected class are raised: the middleware shows a page for them.
    """
    try:
        yield
    except MaintenanceMode:
        raise
    except expected as error:
        messages.error(request, str(error))
