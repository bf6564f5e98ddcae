"""How often something may be asked for: per person, per address, per model's token.

Each limit is a sliding window of two counters in the cache, which count exactly however many processes
and threads ask at once (as far as they share a cache), in constant memory and time.
"""

import hashlib
import ipaddress
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import structlog
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from ..exceptions import TooManyRequests

if TYPE_CHECKING:  # it imports the classes that the settings name, which are these
    from rest_framework.views import APIView

logger = structlog.get_logger(__name__)

SECONDS = {"s": 1, "min": 60, "hour": 3600, "day": 86400}
PERIODS = {
    "s": "s",
    "sec": "s",
    "m": "min",
    "min": "min",
    "h": "hour",
    "hour": "hour",
    "d": "day",
    "day": "day",
}
UNLIMITED = ("", "none")
SCOPES = frozenset({"user", "address", "predict-token", "predict-address", "upload", "plan", "flash-train"})
COUNTED = "trainyard.counted"  # among what the server says of a request
_RATE = re.compile(r"([1-9]\d*)/([a-z]+)")
_WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([\d.]+))(?::\d+)?", re.ASCII)


@dataclass(frozen=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int


@lru_cache(maxsize=64)
def parse_rate(text: str | None) -> Rate | None:
    """Read "600/min"; None, "" and "none" are no limit. Raises ValueError that says what may stand there."""
    if text is None or text in UNLIMITED:
        return None
    match = _RATE.fullmatch(text)
    if match is None or match[2] not in PERIODS:
        raise ValueError(
            f'{text!r} is no rate: write it like "600/min", with s, min, hour or day, or "none".'
        )
    return Rate(int(match[1]), SECONDS[PERIODS[match[2]]])


def seconds_to_wait(rate: Rate, *, previous: int, current: int, passed: float) -> float:
    """Return how long the next request has to wait; 0.0 when it may come now.

    `previous` and `current` count the requests of the last and of this window, of which the fraction
    `passed` is over. Requests of the last window are taken to have come evenly, so the part of them
    that lies within one window's length from now counts.
    """
    room = rate.requests - 1 - current
    if previous * (1 - passed) <= room:
        return 0.0
    if room >= 0:
        return (1 - room / previous - passed) * rate.seconds
    begun = max(0.0, 1 - (rate.requests - 1) / current)  # of the next window, in which these are the last's
    return (1 - passed + begun) * rate.seconds


def take(scope: str, who: str, *, count: bool = True, at: float | None = None) -> float:
    """Count a request; returns 0.0, or the seconds to wait when there were too many (it does not count then).

    Without `count` none counts: the answer is what the next one would get. `at` is when it came, now for None.
    A cache that is away limits nobody: it is better to serve too much than nothing.
    """
    rate = _rate_of(scope)
    if rate is None:
        return 0.0
    try:
        window = _window(rate, scope, who, time.time() if at is None else at)
        return _count(rate, window) if count else _look(rate, window)
    except Exception as error:  # whichever cache, whatever it raises
        logger.warning("throttle.cache_away", scope=scope, error=repr(error))
        return 0.0


def _rate_of(scope: str) -> Rate | None:
    return parse_rate(cast("str | None", api_settings.DEFAULT_THROTTLE_RATES[scope]))


def _window(rate: Rate, scope: str, who: str, at: float) -> tuple[str, str, float]:
    """Return the keys of the counters of this and of the last window, and how much of this one has passed."""
    window, passed = divmod(at / rate.seconds, 1)
    name = f"throttle:{scope}:{hashlib.blake2b(who.encode(), digest_size=16).hexdigest()}"
    return f"{name}:{window:.0f}", f"{name}:{window - 1:.0f}", passed


def _look(rate: Rate, window: tuple[str, str, float]) -> float:
    now, before, passed = window
    counted = cache.get_many([now, before])
    return seconds_to_wait(rate, previous=counted.get(before, 0), current=counted.get(now, 0), passed=passed)


def _count(rate: Rate, window: tuple[str, str, float]) -> float:
    now, before, passed = window
    try:
        current = cache.incr(now) - 1
    except ValueError:  # the first one of this window
        cache.add(now, 0, timeout=2 * rate.seconds)
        current = cache.incr(now) - 1
    wait = seconds_to_wait(rate, previous=cache.get(before, 0), current=current, passed=passed)
    if wait:
        cache.decr(now)
    return wait


def peek(scope: str, who: str) -> None:
    """Look whether a request would be one too many, without counting it. Raises `TooManyRequests`."""
    wait = take(scope, who, count=False)
    if wait:
        raise TooManyRequests(wait)


def require_rate(scope: str, who: str) -> None:
    """Count a request. Raises `TooManyRequests`."""
    wait = take(scope, who)
    if wait:
        raise TooManyRequests(wait)


@contextmanager
def count_if_accepted(scope: str, who: str) -> Iterator[None]:
    """Count a request from its begin, but not if it is refused: then this raises what was raised inside.

    Raises `TooManyRequests`. What is under way counts, so that many at once do not get past the limit.
    """
    began = time.time()
    wait = take(scope, who, at=began)
    if wait:
        raise TooManyRequests(wait)
    try:
        yield
    except BaseException:
        _give_back(scope, who, at=began)
        raise


def _give_back(scope: str, who: str, *, at: float) -> None:
    """Let a request that was counted not have come."""
    rate = _rate_of(scope)
    if rate is None:
        return
    try:
        cache.decr(_window(rate, scope, who, at)[0])
    except ValueError:  # the window is long over
        return
    except Exception as error:  # whichever cache, whatever it raises
        logger.warning("throttle.cache_away", scope=scope, error=repr(error))


class _Throttle(BaseThrottle):
    """One limit of a view."""

    scope: str

    def __init__(self) -> None:
        self._wait = 0.0

    def who(self, request: Request, view: "APIView") -> str | None:
        """Return on whose account the request goes; None when this limit is not about it."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Count the request, unless that has happened already."""
        if COUNTED in request.META:
            return True
        who = self.who(request, view)
        self._wait = 0.0 if who is None else take(self.scope, who)
        return not self._wait

    def wait(self) -> float:
        """Return the seconds until it may come again."""
        return self._wait


class PerUser(_Throttle):
    """Everything that a person who is signed in asks for."""

    scope = "user"

    def who(self, request: Request, view: "APIView") -> str | None:
        """Return the person."""
        return str(request.user.pk) if request.user and request.user.is_authenticated else None


class PerAddress(_Throttle):
    """What comes from one address without anybody being signed in."""

    scope = "address"

    def who(self, request: Request, view: "APIView") -> str | None:
        """Return the address; of IPv6 the network, which is one customer's."""
        user = getattr(request, "user", None)  # views ahead of sessions know none
        if user and user.is_authenticated:
            return None
        return client_of(request)


class PerAddressPredict(PerAddress):
    """Predictions asked for from one address."""

    scope = "predict-address"


class PerModelToken(_Throttle):
    """Predictions of one model, whoever asks."""

    scope = "predict-token"

    def who(self, request: Request, view: "APIView") -> str | None:
        """Return the model's token."""
        return str(view.kwargs["token"])


class Uploads(PerUser):
    """Data sets that a person sends: each is validated, which takes a while."""

    scope = "upload"

    def who(self, request: Request, view: "APIView") -> str | None:
        """Return the person, for a request that brings something."""
        return super().who(request, view) if request.method == "POST" else None


class Plans(Uploads):
    """What a person asks about a data set before it is sent: again after each correction."""

    scope = "plan"


def client_of(request: HttpRequest | Request) -> str:
    """Return what stands for who sends a request, as far as the proxies before us are to be believed."""
    return network_of(str(BaseThrottle().get_ident(cast("Request", request)) or ""))


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Return what stands for a client: an IPv4 address, or the /64 of an IPv6 address.

    Some proxies write the client's port behind the address, which is another one for each connection.
    """
    with_port = _WITH_PORT.fullmatch(address)
    try:
        parsed = ipaddress.ip_address(with_port[1] or with_port[2] if with_port else address)
    except ValueError:  # a socket file, or what a proxy made up
        return quote(address)[:100]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
