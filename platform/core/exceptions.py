"""Errors that a person caused or can mend. Their messages are shown to that person as they are."""

import math


class TrainyardError(Exception):
    """Base of all expected errors; `str(error)` says what happened and what to do."""


class InvalidRequest(TrainyardError):
    """What was sent cannot be used: the caller has to change it."""


class NotFound(InvalidRequest):
    """What was asked for is not there, or not for whoever asks: over HTTP both look the same."""


class QuotaExceeded(InvalidRequest):
    """There is no room left for what somebody wants to keep here."""


class MaintenanceMode(TrainyardError):
    """The platform is halted (`dev_mode`); nothing is accepted, started, predicted or deleted."""

    def __init__(self) -> None:
        super().__init__("Trainyard is halted for maintenance. Nothing is lost; try again in a while.")


class PlatformBusy(TrainyardError):
    """A job is running and the platform is set to refuse submissions meanwhile."""

    def __init__(self) -> None:
        super().__init__("A model is being trained. Submit again when it has finished.")


class TooManyRequests(TrainyardError):
    """Somebody asks too often; `seconds` from now they may ask again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__(f"Too many requests. Please try again in {self.seconds} seconds.")


class BucketError(TrainyardError):
    """The bucket did not answer, or not as a bucket should."""


class LimitExceeded(TrainyardError):
    """A model needed more time or memory for a prediction than it may take."""


class StaleAttempt(TrainyardError):
    """Somebody else owns the job now: whoever sees this has to stop and leave no trace."""
