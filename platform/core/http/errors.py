"""What an error means over HTTP: one table for the REST API, pages and what is refused before a view is called."""

from http import HTTPStatus

from ..exceptions import (
    BucketError,
    Conflict,
    InvalidRequest,
    LimitExceeded,
    MaintenanceMode,
    NotFound,
    PlatformBusy,
    QuotaExceeded,
    StaleAttempt,
    TooManyRequests,
    TrainyardError,
)

STATUS_OF: dict[type[TrainyardError], HTTPStatus] = {
    MaintenanceMode: HTTPStatus.SERVICE_UNAVAILABLE,
    BucketError: HTTPStatus.SERVICE_UNAVAILABLE,
    LimitExceeded: HTTPStatus.SERVICE_UNAVAILABLE,
    PlatformBusy: HTTPStatus.CONFLICT,
    StaleAttempt: HTTPStatus.CONFLICT,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Conflict: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    QuotaExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    TrainyardError: HTTPStatus.BAD_REQUEST,
}
RETRY_AFTER = {MaintenanceMode: 60, BucketError: 10}  # seconds

NOTHING_HERE = "There is nothing here, or it is not yours."
NOT_ALLOWED = "Permission denied."


def status_of(error: TrainyardError) -> HTTPStatus:
    """Return the status of an error: that of its nearest class in the table."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


def retry_after(error: TrainyardError) -> int | None:
    """Return after how many seconds it makes sense to ask again; None where nobody can tell."""
    if isinstance(error, TooManyRequests):
        return error.seconds
    return next((RETRY_AFTER[kind] for kind in type(error).__mro__ if kind in RETRY_AFTER), None)


def words_of(error: TrainyardError) -> str:
    """Return what is said to whoever asked."""
    return NOTHING_HERE if isinstance(error, NotFound) else str(error)
