"""How much of the bucket an account may take: data sets, batches, and whatever else an app registers.

What is taken is added up from the rows each time it is asked for, so that nothing can be forgotten when rows go.
Whoever adds a row calls `take_room` in the same transaction: one at a time for an account, so that uploads
that come together cannot take the same room.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.template.defaultfilters import filesizeformat

from core.exceptions import QuotaExceeded

from .models import User

LOCK = 0x51_07A  # a number of ours among the advisory locks of the database
WITHOUT_ACCOUNT = 0  # which no account has


@dataclass(frozen=True)
class Kept:
    """The storage that an account uses for one kind of files; what `gives_way` refuses nobody an upload."""

    label: str
    count: int
    bytes: int
    page: str  # the name of the address where they can be seen and deleted
    remedy: str
    gives_way: bool = False


@dataclass(frozen=True)
class Storage:
    """The storage that an account uses, and its quota in bytes."""

    kinds: tuple[Kept, ...]
    most: int

    @property
    def taken(self) -> int:
        """The bytes in use, of all kinds."""
        return sum(kind.bytes for kind in self.kinds)

    @property
    def percent(self) -> int:
        """The used part of the quota in percent, 100 at most."""
        return min(100, 100 * self.taken // self.most) if self.most else 100

    @property
    def left(self) -> int:
        """The bytes that are left of the quota for what does not give way, 0 at least."""
        return max(0, self.most - sum(kind.bytes for kind in self.kinds if not kind.gives_way))


Source = Callable[[int | None], Kept]
_sources: list[Source] = []


def register(source: Source) -> None:
    """Register a function that returns what an account uses, by its primary key; None: all without an account."""
    if source not in _sources:
        _sources.append(source)


def storage_of(owner_id: int | None) -> Storage:
    """Return the storage that an account uses; None: all uploads without an account together."""
    name = "MAX_BYTES_PER_USER" if owner_id is not None else "MAX_BYTES_WITHOUT_ACCOUNT"
    return Storage(tuple(source(owner_id) for source in _sources), settings.TRAINYARD[name])


def require_room(owner: User | None, wanted: int) -> None:
    """Check that an account may store `wanted` bytes more; None: no account. Raises `QuotaExceeded`."""
    owner_id = owner.pk if owner is not None else None
    storage = storage_of(owner_id)
    if wanted <= storage.left:
        return
    taken, most = filesizeformat(storage.taken), filesizeformat(storage.most)
    if owner_id is None:
        raise QuotaExceeded(
            f"This takes {filesizeformat(wanted)}, and what was sent without an account has {taken} of {most} "
            "already. Sign in and send it again, or ask the administrator for room."
        )
    raise QuotaExceeded(
        f"This takes {filesizeformat(wanted)}, and you keep {taken} of the {most} that an account may have. "
        "Delete data sets that you do not need; your account's storage page shows them."
    )


def take_room(owner: User | None, wanted: int) -> None:
    """Check as `require_room` does, and lock the account's quota until the transaction ends.

    Must be called in the transaction that adds the row. On SQLite that is the only one that writes.
    """
    if connection.vendor == "postgresql":
        account = owner.pk if owner is not None else WITHOUT_ACCOUNT
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, account % 2**31])
    require_room(owner, wanted)
