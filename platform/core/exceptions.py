"""Expected errors. Their messages are shown to the user as they are."""

import math


class TrainyardError(Exception):
    """Base of all expected errors; `str(error)` says what happened and what to do."""


class InvalidRequest(TrainyardError):
    """The input is invalid: the caller has to change it."""


class NotFound(InvalidRequest):
    """The object does not exist, or this caller may not see it: both are answered with 404."""


class Conflict(InvalidRequest):
    """Somebody else has changed the object meanwhile: the caller has to look again."""


class QuotaExceeded(InvalidRequest):
    """The account's quota is used up."""


class MaintenanceMode(TrainyardError):
    """The platform is halted (`dev_mode`); nothing is accepted, started, predicted or deleted."""

    def __init__(self) -> None:
        super().__init__("Trainyard is halted for maintenance. Nothing is lost; try again in a while.")


class PlatformBusy(TrainyardError):
    """A job is running and the platform is set to refuse submissions meanwhile."""

    def __init__(self) -> None:
        super().__init__("A model is being trained. Submit again when it has finished.")


class TooManyRequests(TrainyardError):
    """A rate limit is exceeded; the caller may try again in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__(f"Too many requests. Please try again in {self.seconds} seconds.")


class BucketError(TrainyardError):
    """The bucket did not answer, or its answer is none that the protocol knows."""


class LimitExceeded(TrainyardError):
    """A prediction exceeded the model's limit of time or memory."""


class StaleAttempt(TrainyardError):
    """The attempt has lost its lease: its worker has to stop and to discard what it has done."""
