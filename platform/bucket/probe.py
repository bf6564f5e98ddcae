"""A probe: does the configured bucket refuse a write whose condition does not hold?

Edits by other programs survive because every write names the ETag it has read. A server that knows no
conditional writes does not refuse them: it ignores the headers and overwrites. So the claim is proven
when a worker starts and by `manage.py sync_documents`, with writers that race on a key of their own.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from core.exceptions import BucketError

from .base import Bucket, Conflict

logger = structlog.get_logger(__name__)

PREFIX = ".probe/"
WRITERS = 2  # of one key: some servers let each further one wait for a second
RACES = 2  # of each kind at once; all their writers together are fewer than boto3's ten connections
ROUNDS = 5
ENOUGH = 0.5  # seconds, after which no further round begins
RISK = (
    "An edit that somebody else makes to a document between Trainyard's reading and its writing can be "
    "overwritten without a trace. Use a bucket that enforces If-Match and If-None-Match on PutObject, or "
    "let nobody but Trainyard write the documents."
)


@dataclass(frozen=True)
class ProbeResult:
    """What the store did. `problems` names each condition that was ignored, in the words of S3."""

    problems: tuple[str, ...]
    rounds: int
    seconds: float

    @property
    def enforced(self) -> bool:
        """Whether edits of others are safe."""
        return not self.problems

    def __str__(self) -> str:
        if self.enforced:
            return "The bucket enforces conditional writes."
        return f"The bucket does not enforce conditional writes ({'; '.join(self.problems)}). {RISK}"


def probe_conditional_writes(store: Bucket, *, rounds: int = ROUNDS) -> ProbeResult:
    """Let writers race on temporary keys for up to `rounds` rounds, then try outdated conditions.

    In each round pairs of writers create a document and others replace one, all at once: one of each
    pair may win. The keys are removed at the end. Raises `BucketError` when the bucket does not
    answer, and when it refuses a write whose condition holds: nothing can be published to such a one.
    """
    began, done = time.monotonic(), 0
    problems: list[str] = []
    with _throw_away_keys(store) as new_key, ThreadPoolExecutor(2 * RACES * WRITERS) as pool:
        while done < rounds and not problems and (done == 0 or time.monotonic() - began < ENOUGH):
            start = threading.Barrier(2 * RACES * WRITERS)
            races = [_Race(store, new_key(), None) for _ in range(RACES)]
            races += [_Race(store, key, _create(store, key)) for key in (new_key() for _ in range(RACES))]
            for race in races:
                race.begin(pool, start)
            problems += [problem for race in races for problem in race.problems()]
            done += 1
        problems += _try_outdated(store, races[-1].key, outdated=races[-1].if_match or "")
    result = ProbeResult(tuple(dict.fromkeys(problems)), done, round(time.monotonic() - began, 3))
    log = logger.info if result.enforced else logger.warning
    log("bucket.probed", enforced=result.enforced, problems=result.problems, seconds=result.seconds)
    return result


class _Race:
    """Several writers of one key with one condition, started by one barrier."""

    def __init__(self, store: Bucket, key: str, if_match: str | None) -> None:
        self.store, self.key, self.if_match = store, key, if_match
        self.bodies = [f"writer {number}".encode() for number in range(WRITERS)]
        self._writes: list[Future[bool]] = []

    def begin(self, pool: ThreadPoolExecutor, start: threading.Barrier) -> None:
        """Start the writers' threads; they wait at the barrier."""
        self._writes = [pool.submit(self._write, body, start) for body in self.bodies]

    def _write(self, body: bytes, start: threading.Barrier) -> bool:
        start.wait()
        return _is_taken(self.store, self.key, body, if_match=self.if_match)

    def problems(self) -> list[str]:
        """Wait for the writers and return the conditions that were not enforced."""
        won = [body for body, write in zip(self.bodies, self._writes, strict=True) if write.result()]
        stored = self.store.get(self.key)
        condition = "If-None-Match" if self.if_match is None else "If-Match"
        if stored is None or stored.body not in self.bodies:
            raise BucketError(
                f"The bucket refused {len(self.bodies)} of {len(self.bodies)} writes whose {condition} was "
                "right, so no document can be written. Is there a proxy before it that changes ETags?"
            )
        if len(won) > 1:
            return [f"{condition}: {len(won)} of {len(self.bodies)} writers at once were let through"]
        if won and won != [stored.body]:
            return [f"{condition}: a write that was refused has replaced the one that was let through"]
        return []  # with no winner, one has landed whose answer was lost and whose retry was refused


def _try_outdated(store: Bucket, key: str, *, outdated: str) -> list[str]:
    """Return the outdated conditions that the store lets through on a document that exists."""
    problems = []
    if _is_taken(store, key, b"outdated", if_match=outdated):
        problems.append("If-Match: a write with an outdated ETag was let through")
    if _is_taken(store, key, b"not the first", if_match=None):
        problems.append("If-None-Match: a write over an existing document was let through")
    store.delete(key)
    if _is_taken(store, key, b"too late", if_match=outdated):
        problems.append("If-Match: a write to a document that is gone was let through")
    return problems


def _create(store: Bucket, key: str) -> str:
    try:
        return store.put(key, b"to be replaced", if_match=None)
    except Conflict as conflict:
        stored = store.get(key)  # the key is unique: the first answer was lost, and the retry was refused
        if stored is None:
            raise BucketError(f"The bucket refuses to create {key}.") from conflict
        return stored.etag


def _is_taken(store: Bucket, key: str, body: bytes, *, if_match: str | None) -> bool:
    try:
        store.put(key, body, if_match=if_match)
    except Conflict:
        return False
    return True


@contextlib.contextmanager
def _throw_away_keys(store: Bucket) -> Iterator[Callable[[], str]]:
    """Yield a function that returns unique keys; their objects are deleted at the end."""
    keys: list[str] = []

    def new_key() -> str:
        keys.append(f"{PREFIX}{uuid.uuid4().hex}")
        return keys[-1]

    try:
        yield new_key
    finally:
        for key in keys:
            # That the bucket is away was reported before, or will be; keys that are left do no harm.
            with contextlib.suppress(BucketError):
                store.delete(key)
