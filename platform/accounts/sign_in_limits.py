"""How often a password may be guessed, whichever door is tried: pages, admin, REST, a change of the password.

Failures are counted in the database, so that the count is the same for all web processes and machines, and holds
when the cache is away or has been restarted. Three limits hold at once:

- one client on one account, which ends guessing without locking the owner out at another address;
- one client on any account, which ends trying one password on everybody;
- one account from all clients together, which ends guessing from many addresses. A client that has signed in to
  the account within the last `REMEMBERED` is exempt from it, so that a flood of guesses does not lock the owner out.

A client is an IPv4 address or an IPv6 /64 (`core.http.throttles.client_of`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from allauth.account.internal.userkit import filter_users_by_email, get_user_by_username
from django.db.models import QuerySet
from django.utils import timezone

from .models import SignInAttempt


@dataclass(frozen=True)
class Limit:
    """A limit: `failures` within `within`."""

    failures: int
    within: timedelta


PER_CLIENT_AND_ACCOUNT = Limit(5, timedelta(minutes=5))
PER_CLIENT = Limit(20, timedelta(minutes=10))
PER_ACCOUNT = Limit(50, timedelta(hours=1))
COUNTED = max(limit.within for limit in (PER_CLIENT_AND_ACCOUNT, PER_CLIENT, PER_ACCOUNT))
REMEMBERED = timedelta(days=30)


class TooManyGuesses(Exception):
    """Too many wrong passwords; `wait` says how long none is looked at."""

    def __init__(self, wait: timedelta) -> None:
        self.wait = wait
        minutes = -(-wait // timedelta(minutes=1))
        super().__init__(
            f"Too many failed attempts to sign in. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
        )


@dataclass(frozen=True)
class Guess:
    """A sign-in attempt: it counts as failed until `succeed` is called."""

    client: str
    attempts: tuple[SignInAttempt, ...]

    def succeed(self) -> None:
        """Mark the attempt as successful. Earlier failures still count."""
        keys = [attempt.pk for attempt in self.attempts]
        accounts = [attempt.account for attempt in self.attempts]
        earlier = SignInAttempt.objects.filter(client=self.client, account__in=accounts, succeeded=True)
        earlier.delete()
        SignInAttempt.objects.filter(pk__in=keys).update(succeeded=True)


def count_guess(*, login: str, client: str) -> Guess:
    """Count an attempt before the password is looked at. Raises `TooManyGuesses`.

    The attempt is written first and counted with the others, so that of many at the same time no more than the
    limit get through. One that is refused does not count.
    """
    now = timezone.now()
    client = SignInAttempt.digest(f"client {client}")
    accounts = [SignInAttempt.digest(account) for account in accounts_of(login)]
    _forget_old()
    _refuse(client, accounts, most_over=0)
    attempts = tuple(
        SignInAttempt.objects.bulk_create(
            SignInAttempt(account=account, client=client, at=now) for account in accounts
        )
    )
    try:
        _refuse(client, accounts, most_over=1)
    except TooManyGuesses:
        SignInAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).delete()
        raise
    return Guess(client, attempts)


def accounts_of(login: str) -> set[str]:
    """Return the keys of the accounts that a name or e-mail address may mean; of an unknown one, the name itself."""
    users = [get_user_by_username(login), *filter_users_by_email(login, for_login=True)]
    known = {f"user {user.pk}" for user in users if user is not None}
    return known or {f"name {login.casefold()}"}


def _refuse(client: str, accounts: Iterable[str], *, most_over: int) -> None:
    """Raise `TooManyGuesses` where a limit is exceeded; `most_over` is 1 when this attempt is among those counted."""
    waits = [wait for limit, rows in _counted(client, accounts) if (wait := _wait(limit, rows, most_over))]
    if waits:
        raise TooManyGuesses(max(waits))


def _counted(client: str, accounts: Iterable[str]) -> Iterator[tuple[Limit, QuerySet[SignInAttempt]]]:
    failures = SignInAttempt.objects.filter(succeeded=False)
    yield PER_CLIENT, failures.filter(client=client)
    for account in accounts:
        yield PER_CLIENT_AND_ACCOUNT, failures.filter(client=client, account=account)
        known = SignInAttempt.objects.filter(client=client, account=account, succeeded=True)
        if not known.exists():
            yield PER_ACCOUNT, failures.filter(account=account)


def _wait(limit: Limit, rows: QuerySet[SignInAttempt], most_over: int) -> timedelta | None:
    """Return the time until one more failure is allowed; None if it is allowed now."""
    start = timezone.now() - limit.within
    last = limit.failures - 1 + most_over
    newest = rows.filter(at__gt=start).order_by("-at").values_list("at", flat=True)
    found = next(iter(newest[last : last + 1]), None)
    return None if found is None else found - start


def _forget_old() -> None:
    now = timezone.now()
    SignInAttempt.objects.filter(succeeded=False, at__lt=now - COUNTED).delete()
    SignInAttempt.objects.filter(succeeded=True, at__lt=now - REMEMBERED).delete()
