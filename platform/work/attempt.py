"""One attempt at a piece of work, from the claim to its end in the row."""

from pathlib import Path
from typing import Any, ClassVar, Generic

import structlog
from django.db import close_old_connections
from django.utils import timezone

from control.selectors import is_halted
from core.exceptions import MaintenanceMode, StaleAttempt, TrainyardError
from core.text import storable

from . import transitions
from .heartbeat import Cancelled, Heartbeat, Interrupted, TurnOver
from .models import LeasedWork
from .queue import announce
from .scratch import scratch, scratch_folder
from .stopping import worker_stops
from .transitions import Work

logger = structlog.get_logger(__name__)


class HopelessAttempt(TrainyardError):
    """Another attempt would end the same way; the message says what to mend."""


class Attempt(Generic[Work]):
    """One attempt. A kind of work says in `run` what is to be done, and ends it there with `transitions.succeed`.

    `run` has a folder of its own and a heartbeat, whose `check` it calls often. Whatever it raises is noted in the
    row: `StaleAttempt` changes nothing, `Cancelled` ends the work, `Interrupted` returns it to the queue,
    `HopelessAttempt` and what `hopeless` names fail it; anything else is a dead attempt, of which a few are allowed.
    """

    kind: ClassVar[type[LeasedWork]]
    hopeless: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, work: Work) -> None:
        self.work = work
        self.folder: Path = scratch_folder(work)
        self.heartbeat = Heartbeat(work)
        self._log = logger.bind(**{work.noun(): work.pk}, attempt=work.attempt)

    @classmethod
    def claim_next(cls, *, worker: str, queue: str) -> Any:
        """Claim the first startable work of a queue; None when there is none."""
        waiting = cls.kind.objects.startable(timezone.now()).filter(queue=queue)
        return transitions.claim_next(waiting, worker=worker)

    def run(self) -> None:
        """Do the work."""
        raise NotImplementedError

    def before_end(self) -> None:
        """Bring `work` up to date before its row notes that the attempt has not succeeded."""

    def tidy(self) -> None:
        """Remove what the attempt has left outside its folder; called at its end, also after an error."""

    def carry_out(self) -> None:
        """Run the attempt and record its end in the row; an error of `run` is handled and not raised."""
        noun = self.work.noun()
        self._log.info(f"{noun}.started")
        try:
            with scratch(self.work), self.heartbeat:
                self.run()
        except Exception as error:
            close_old_connections()
            try:
                self.before_end()
                self._end(error)
            except StaleAttempt as stale:  # another process has decided already, whatever happened here
                self._log.warning(f"{noun}.attempt_stale", reason=str(stale))
        finally:
            self.tidy()

    def _end(self, error: Exception) -> None:
        """Record in the row why the attempt ended. Raises `StaleAttempt`."""
        noun, work = self.work.noun(), self.work
        if isinstance(error, StaleAttempt):
            raise error
        if isinstance(error, Cancelled):
            transitions.finish_cancelling(work)
            self._log.info(f"{noun}.cancelled")
        elif isinstance(error, Interrupted | MaintenanceMode):
            self._suspend(error)
            self._log.info(f"{noun}.suspended", reason=str(error))
        elif isinstance(error, (HopelessAttempt, *self.hopeless)):
            transitions.fail(work, reason=storable(error))
            self._log.info(f"{noun}.failed", error=str(error))
        else:
            unforeseen = not isinstance(error, TrainyardError)
            self._log.warning(
                f"{noun}.attempt_failed", error=repr(error), exc_info=error if unforeseen else None
            )
            # Not announced: reconcile does it, so that the trouble has time to pass.
            transitions.hand_back_or_fail(work, reason=_reason(error))

    def _suspend(self, error: Exception) -> None:
        """Return the work to the queue, and wake another worker for it unless nothing may start."""
        reason = "Suspended for maintenance" if isinstance(error, MaintenanceMode) else str(error)
        if isinstance(error, TurnOver):
            transitions.yield_turn(self.work, reason=reason)
        else:
            transitions.hand_back(self.work, reason=reason)
        if not is_halted():
            announce(self.work)


def run_next(attempt: type[Attempt[Any]], pk: int, request: Any) -> None:
    """Do the work that is due in the queue of a message about row `pk`; one that came twice finds nothing.

    `request` is Celery's: it names the worker and the queue; without a queue, it is the row's.
    """
    rows = attempt.kind.objects.filter(pk=pk)
    if worker_stops.is_set() or is_halted():
        rows.update(announced_at=None)  # the message ends here: the work has to be announced again
        return
    queue = (request.delivery_info or {}).get("routing_key") or rows.values_list("queue", flat=True).first()
    work = attempt.claim_next(worker=str(request.hostname), queue=queue) if queue else None
    if work is not None:
        attempt(work).carry_out()


def _reason(error: Exception) -> str:
    """Return why an attempt died, in words for the owner."""
    if isinstance(error, TrainyardError):
        return storable(error)
    if isinstance(error, OSError):
        return storable(error.strerror or error)
    return type(error).__name__
