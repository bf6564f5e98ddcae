"""What `reconcile` does for apps that it need not know: each names its own work once, while it becomes ready."""

from collections.abc import Callable

import structlog

logger = structlog.get_logger(__name__)

_works: list[Callable[[], None]] = []


def register_upkeep(work: Callable[[], None]) -> None:
    """Let `work` be done with every reconcile. It has to be safe at any time, by anybody, at once."""
    _works.append(work)


def do_upkeep() -> None:
    """Do everything that was registered; what fails is tried again the next time and stops nothing else."""
    for work in _works:
        try:
            work()
        except Exception as error:  # database or bucket away
            logger.warning("upkeep.failed", work=work.__qualname__, error=repr(error))
