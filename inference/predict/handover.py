"""The moment after a promotion: a process goes on with the version that it has, until the new one is loaded.

Each process does so by itself. A version that was deleted, or has expired, is not gone on with; nor is one for longer
than `LONGEST`, when the new one is loaded by whoever asks.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from core.exceptions import TrainyardError

from .lookup import ServedModel, find_served_model

logger = structlog.get_logger(__name__)

LONGEST = 10.0  # seconds
REMEMBERED = 1000  # tokens


class Handover:
    """Which version answered each project's token last, and since when another one is to."""

    def __init__(self, *, holds: Callable[[str], bool], load: Callable[[ServedModel], object]) -> None:
        """`holds` tells whether a file's model is loaded, `load` loads it."""
        self._holds = holds
        self._load = load
        self._lock = threading.Lock()
        self._last: OrderedDict[str, ServedModel] = OrderedDict()
        self._since: dict[str, float] = {}  # by SHA-256 of a file that is being loaded

    def choose(self, served: ServedModel) -> ServedModel:
        """Return the version that is to answer now: `served`, or the one before while `served` is loaded."""
        token = served.model.shown_token
        if token == served.model.token:
            return served
        before = self._last.get(token)
        if before is not None and before.sha256 == served.sha256:
            return served
        if before is None or self._holds(served.sha256) or not self._holds(before.sha256):
            return self._note(token, served)
        with self._lock:
            is_first = served.sha256 not in self._since
            since = self._since.setdefault(served.sha256, time.monotonic())
        if time.monotonic() - since > LONGEST or not _is_live(before):
            return self._note(token, served)
        if is_first:
            threading.Thread(target=self._load_beside, args=(served,), name="handover", daemon=True).start()
        return before

    def _note(self, token: str, served: ServedModel) -> ServedModel:
        with self._lock:
            self._since.pop(served.sha256, None)
            self._last[token] = served
            self._last.move_to_end(token)
            while len(self._last) > REMEMBERED:
                self._last.popitem(last=False)
        return served

    def _load_beside(self, served: ServedModel) -> None:
        """Load a version; what is wrong with it is said to the next who asks."""
        try:
            self._load(served)
        except Exception as error:
            logger.warning("handover.failed", model=served.model.pk, error=repr(error))
            with self._lock:
                self._last.pop(served.model.shown_token, None)
                self._since.pop(served.sha256, None)


def _is_live(served: ServedModel) -> bool:
    try:
        return find_served_model(served.model.token).sha256 == served.sha256
    except TrainyardError:
        return False
