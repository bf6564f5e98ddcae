"""An S3 server with a bad line: a proxy before the real one that loses, breaks and delays what a test names.

What cannot be trusted in production is not the S3 server but the way to it: an answer is lost after
the write has landed, a connection breaks in the middle, the server is away for a minute. The proxy
does this to real requests of real clients. It passes every header on as it came, the host too,
because the client's signature covers it.

>>> with servers.s3_server() as server, FaultyS3(server) as line:
...     line.cause(Fault.LOSE_ANSWER, method="PUT", key="inference.json", times=1)
...     line.cause(Fault.ERROR, probability=0.1)
...     PlatformProcess(home, env=line.server.env)
"""

import contextlib
import dataclasses
import fnmatch
import http.client
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from devtools.servers import S3Server

PATIENCE = 60.0  # seconds that a held request waits to be let go, and a test waits for one to be held
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"}
NO_BODY = {204, 304}


class Fault(Enum):
    """What can happen to a request. In the second group the server has done the work."""

    RESET = "reset"  # the connection breaks before the server hears anything
    ERROR = "error"  # 500 InternalError, nothing done
    SLOW_DOWN = "slow_down"  # 503 SlowDown, nothing done
    DELAY = "delay"  # forwarded late, answered well

    LOSE_ANSWER = "lose_answer"  # the connection is closed where the answer should come
    RESET_AFTER = "reset_after"  # the same by a reset
    ERROR_AFTER = "error_after"  # 500 although it is done
    CUT_ANSWER = "cut_answer"  # half of the body, then the end


UNHEARD = frozenset({Fault.RESET, Fault.ERROR, Fault.SLOW_DOWN})
# What may meet any request, for tests that draw faults at random.
ANY = tuple(Fault)


class Exchange(NamedTuple):
    """One request and what became of it. `status` is the server's: None when it heard nothing."""

    method: str
    key: str
    fault: Fault | None
    status: int | None

    @property
    def landed(self) -> bool:
        """Whether the server has done what was asked."""
        return self.status is not None and 200 <= self.status < 300


@dataclasses.dataclass
class Rule:
    """When to cause a fault: requests that fit, after the first `skip`, at most `times`."""

    fault: Fault
    method: str
    key: str
    probability: float
    times: int | None
    skip: int
    seconds: float

    def applies(self, method: str, key: str, dice: random.Random) -> bool:
        """Decide about one request, and count it."""
        if self.times == 0 or not _fits(self.method, self.key, method, key):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if dice.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Held:
    """The next request that fits, stopped on its way: before the server hears it."""

    def __init__(self, method: str, key: str) -> None:
        self.method, self.key = method, key
        self.arrived, self.let_go = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Return when the request is here; AssertionError when none came."""
        assert self.arrived.wait(PATIENCE), f"No {self.method} {self.key} within {PATIENCE:g} s"

    def release(self) -> None:
        """Send it on its way."""
        self.let_go.set()


class FaultyS3:
    """The proxy as a context manager, and the test's hand on it. Every method may be called at any time."""

    def __init__(self, server: S3Server, *, seed: int = 0) -> None:
        self.upstream = urlsplit(server.endpoint)
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._held: list[Held] = []
        self._log: list[Exchange] = []
        self._down = False
        self._http = _ProxyServer(("127.0.0.1", 0), _Handler)
        self._http.line = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.server = dataclasses.replace(server, endpoint=f"http://127.0.0.1:{self._http.server_port}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def cause(
        self,
        fault: Fault,
        *,
        method: str = "*",
        key: str = "*",
        probability: float = 1.0,
        times: int | None = None,
        skip: int = 0,
        seconds: float = 0.2,
    ) -> None:
        """Let requests fail from now on. `method` and `key` are shell patterns; the first rule that applies wins.

        `times` and `skip` count requests that fit; `seconds` is how long a DELAY lasts.
        """
        with self._lock:
            self._rules.append(Rule(fault, method, key, probability, times, skip, seconds))

    @contextlib.contextmanager
    def hold(self, method: str, key: str) -> Iterator[Held]:
        """Stop the next such request until the test releases it (or leaves the block)."""
        held = Held(method, key)
        with self._lock:
            self._held.append(held)
        try:
            yield held
        finally:
            held.release()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Be away: every connection is reset, the open ones as well."""
        self._down = True
        try:
            yield
        finally:
            self._down = False

    def heal(self) -> None:
        """Be a good line again: forget all rules, let go of whoever is held."""
        with self._lock:
            self._rules.clear()
            for held in self._held:
                held.release()
            self._held.clear()
            self._down = False

    def log(self, method: str = "*", key: str = "*") -> list[Exchange]:
        """Return what has happened so far to such requests, in the order in which they ended."""
        with self._lock:
            return [one for one in self._log if _fits(method, key, one.method, one.key)]

    def landed(self, method: str, key: str) -> int:
        """Count the requests that the server carried out, whatever the client was told."""
        return sum(one.landed for one in self.log(method, key))

    def decide(self, method: str, key: str) -> tuple[Fault | None, float]:
        """Say what happens to a request that has just come, and for how long; holds the one it shall hold."""
        with self._lock:
            held = next((one for one in self._held if _fits(one.method, one.key, method, key)), None)
            if held is not None:
                self._held.remove(held)
        if held is not None:
            held.arrived.set()
            held.let_go.wait(PATIENCE)
        with self._lock:
            if self._down:
                return Fault.RESET, 0.0
            rule = next((rule for rule in self._rules if rule.applies(method, key, self._dice)), None)
            return (rule.fault, rule.seconds) if rule else (None, 0.0)

    def note(self, exchange: Exchange) -> None:
        """Write into the log."""
        with self._lock:
            self._log.append(exchange)


def _fits(method_pattern: str, key_pattern: str, method: str, key: str) -> bool:
    return fnmatch.fnmatchcase(method, method_pattern) and fnmatch.fnmatchcase(key, key_pattern)


class _ProxyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    line: FaultyS3

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up: that is what this is about."""

    def shutdown_request(self, request: Any) -> None:
        """Close without the polite half-close, which would hide a reset."""
        self.close_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300
    server: _ProxyServer

    def handle_one_request(self) -> None:
        """Serve one request of any method."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
        fault, seconds = self.server.line.decide(self.command, key)
        if fault in UNHEARD:
            self.server.line.note(Exchange(self.command, key, fault, None))
            self._refuse(fault)
            return
        if fault is Fault.DELAY:
            time.sleep(seconds)
        answer, content = self._forward(body)
        # Before the client knows: who has an answer finds it in the log.
        self.server.line.note(Exchange(self.command, key, fault, answer.status))
        if fault in (Fault.LOSE_ANSWER, Fault.RESET_AFTER):
            self._hang_up(reset=fault is Fault.RESET_AFTER)
        elif fault is Fault.ERROR_AFTER:
            self._error(500, "InternalError")
        else:
            self._relay(answer, content, cut=fault is Fault.CUT_ANSWER)

    def _refuse(self, fault: Fault | None) -> None:
        if fault is Fault.RESET:
            self._hang_up(reset=True)
        elif fault is Fault.ERROR:
            self._error(500, "InternalError")
        else:
            self._error(503, "SlowDown")

    def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = self.server.line.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=120)
        with contextlib.closing(connection):
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer, answer.read()

    def _relay(self, answer: http.client.HTTPResponse, content: bytes, *, cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", answer.getheader("Content-Length") or "0")
        elif answer.status not in NO_BODY:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if cut:
            self.wfile.write(content[: len(content) // 2])
            self._hang_up()
        else:
            self.wfile.write(content)

    def _error(self, status: int, code: str) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as asked</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hang_up(self, *, reset: bool = False) -> None:
        """End the connection; `reset` with a packet that says so."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
