"""The health of the platform: each part registers a check; all run in parallel within one time limit.

A part that hangs occupies one thread, however many callers ask, and a result is reused for a second.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog
from django.db import connection

logger = structlog.get_logger(__name__)

PATIENCE = 2.0  # seconds for all checks together
FRESH = 1.0  # seconds for which an answer is good
OK, AWAY, NO_ANSWER = "ok", "away", f"no answer within {PATIENCE:g} s"


class Unhealthy(Exception):
    """A part answers, but is not healthy; the message is public."""


class Check:
    """One part's check: raises any exception when the part is not healthy; only the message of `Unhealthy` is shown."""

    def __init__(self, name: str, look: Callable[[], None]) -> None:
        self.name = name
        self._look = look
        self._lock = threading.Lock()
        self._answer: Future[str] | None = None
        self._good_until = 0.0

    def ask(self) -> "Future[str]":
        """Return the future of the check's result; a result of the last second is reused."""
        with self._lock:
            answer = self._answer
            if answer is None or (answer.done() and time.monotonic() > self._good_until):
                answer = self._answer = Future()
                thread = threading.Thread(
                    target=self._run, args=(answer,), name=f"health-{self.name}", daemon=True
                )
                thread.start()
            return answer

    def _run(self, answer: "Future[str]") -> None:
        try:
            self._look()
            said = OK
        except Unhealthy as error:
            said = str(error)
        except Exception as error:  # whatever the part's client raises
            logger.warning("health.away", part=self.name, error=repr(error))
            said = AWAY
        finally:
            connection.close()  # the thread's own, if it has one
        self._good_until = time.monotonic() + FRESH
        answer.set_result(said)


_checks: dict[str, Check] = {}


def register(name: str, look: Callable[[], None]) -> None:
    """Add a part; called once, while the app that knows the part becomes ready."""
    _checks[name] = Check(name, look)


def examine(*names: str, patience: float = PATIENCE) -> dict[str, str]:
    """Return the result of each named part (of all, when none is named): "ok", or why it is not healthy."""
    chosen = [_checks[name] for name in names] if names else list(_checks.values())
    deadline = time.monotonic() + patience
    answers = [(check.name, check.ask()) for check in chosen]
    return {name: _within(answer, deadline) for name, answer in answers}


def _within(answer: "Future[str]", deadline: float) -> str:
    try:
        return answer.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return NO_ANSWER


def look_at_database() -> None:
    """Run `SELECT 1`. Raises what the database driver raises."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
