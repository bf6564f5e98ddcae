"""A worker of gunicorn whose threads never wait for a client.

gunicorn's own threads read a request from the socket and write the answer to it, so that as many slow clients as
there are threads stop a process. Here one loop does so for all connections and never waits: a thread is taken when
a request is complete, and is free again when the answer is written, whether the client has taken it or not. Large
bodies and answers lie in files without a name meanwhile.

- All headers of a request have to arrive within ten seconds; bodies and answers may not pause for long, nor be
  slower than a modem (`config.transfers`).
- Before a large body is read the application is shown the head of the request and may refuse it
  (`core.http.head_only`).
- When there are as many connections as there may be, the one that has waited for its client the longest goes.
- Whether the process is alive is answered by a thread of its own, however busy the others are.
"""

import contextlib
import errno
import io
import itertools
import math
import os
import selectors
import shutil
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from gunicorn import util
from gunicorn.errors import ConfigError
from gunicorn.http.body import ChunkedReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import Response, create
from gunicorn.workers.base import Worker

from core.http.head_only import ASKED_ABOVE, CARRIED, HEAD_ONLY

from .connections import HEAD_SECONDS, Connection, Stage, connections_at_once
from .thread_pool import Task, ThreadPool
from .transfers import CHUNK_BYTES, GONE, IN_MEMORY, Outbox, Progress, waiting_room

HEAD_BYTES = 2**16
NOTIFIES_EVERY = (
    0.5  # seconds between two signs of life for gunicorn's master, each of which is a system call
)
LINGER_SECONDS = 2.0  # in which a client that was refused may still send, so that it gets to read the answer
LINGER_BYTES = 4 * 2**20
STOPPING_SECONDS = 2.0  # in which a stopping process still takes a request on a connection that it had kept
ALIVE = "/health/live/"
HEAD_END = b"\r\n\r\n"


Next = Callable[[Connection], None]  # how the loop goes on with a connection
Work = Callable[[Connection], Next]  # what a thread does


class WebWorker(Worker):
    """Serves HTTP/1.1, without TLS, which is for the proxy."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Connection] = set()
        self._results: SimpleQueue[Task] = SimpleQueue()  # for the loop
        self._lock = threading.Lock()  # held while a connection begins to wait, or is ended for having waited
        self._stopped = math.inf  # when this process has begun to stop
        self._accepts = False
        self._claimed = 0  # bytes of bodies that were admitted and are not complete
        self._folder = ""
        self._notified = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise `ConfigError` for what this worker does not do."""
        if cfg.is_ssl:
            raise ConfigError("TLS is for the proxy in front of gunicorn; leave out certfile and keyfile.")

    def init_process(self) -> None:
        """Prepare the loop, then go on as every worker does."""
        self._poller = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        for number in (self._wake_read, self._wake_write):
            util.set_non_blocking(number)
            util.close_on_exec(number)
        self._most = min(self.cfg.worker_connections, connections_at_once())
        super().init_process()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: what has been begun is finished."""
        self.alive = False
        self._wake()

    # The loop: everything below runs in the main thread, unless it says otherwise -----------------

    def run(self) -> None:
        """Serve until told to stop, then finish what was begun within `graceful_timeout`."""
        from django.conf import settings

        self._folder = str(settings.FILE_UPLOAD_TEMP_DIR)
        self._threads = ThreadPool(self.cfg.threads, at_once=settings.TRAINYARD["WEB_THREADS_AT_ONCE"])
        self._probes = ThreadPool(1, at_once=1)
        self._poller.register(self._wake_read, selectors.EVENT_READ, self._take_results)
        self._accept_more(True)
        while self.alive and self.ppid == os.getppid():
            self._turn()
        self._accept_more(False)
        for listener in self.sockets:
            listener.close()
        self._stopped = time.monotonic()
        while self._connections and time.monotonic() < self._stopped + self.cfg.graceful_timeout:
            self._turn()
        for connection in list(self._connections):
            self._close(connection)

    def _turn(self) -> None:
        """Do what can be done now, and end what has waited for too long; returns after a second at most."""
        if time.monotonic() - self._notified >= NOTIFIES_EVERY:
            self.notify()
            self._notified = time.monotonic()
        watched = self._poller.get_map()
        for key, _ in self._poller.select(1.0 if self.alive else 0.2):
            if watched.get(key.fd) is key:  # an event before this one may have closed it
                key.data()
        now = time.monotonic()
        with self._lock:
            for connection in [one for one in self._connections if self._is_late(one, now)]:
                self._time_out(connection)

    def _is_late(self, connection: Connection, now: float) -> bool:
        """Say whether a client has had its time; less of it is left when the process stops."""
        if connection.stage == Stage.IDLE and not self.alive:
            return max(connection.since, self._stopped) + STOPPING_SECONDS < now
        return connection.stage != Stage.WORKING and connection.deadline < now

    def _accept_more(self, wanted: bool) -> None:
        if wanted == self._accepts:
            return
        self._accepts = wanted
        for listener in self.sockets:
            if wanted:
                listener.setblocking(False)
                self._poller.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
            else:
                self._poller.unregister(listener)

    def _accept(self, listener: Any) -> None:
        if len(self._connections) >= self._most and not self._make_room():
            self._accept_more(False)  # until one of those that are worked on has ended
            return
        try:
            sock, client = listener.accept()
        except OSError as error:  # another process has taken it, or the client has thought better of it
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self.log.warning("No connection can be accepted: %s", error)
                self._make_room()
            return
        sock.setblocking(False)
        connection = Connection(sock, client, listener.getsockname(), self._folder)
        self._connections.add(connection)
        self._await_head(connection, Stage.HEAD, HEAD_SECONDS)
        self._read_head(connection)  # often it is here already

    def _make_room(self) -> bool:
        """Close the connection that has kept the process waiting for longest; False when none waits."""
        with self._lock:
            waiting = [one for one in self._connections if one.stage != Stage.WORKING]
            if not waiting:
                return False
            self._close(min(waiting, key=lambda one: (one.stage, one.since)))
            return True

    def _close(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._unwatch(connection)
        self._release(connection)
        connection.forget_request()
        connection.outbox.close()
        util.close(connection.sock)
        if self.alive:
            self._accept_more(True)

    def _release(self, connection: Connection) -> None:
        """Give up the claim of a body on the disk."""
        if connection.length > ASKED_ABOVE:
            self._claimed -= connection.length

    def _enter(
        self, connection: Connection, stage: Stage, deadline: float, watch: Callable[[], None], events: int
    ) -> None:
        """Wait for a client."""
        connection.stage, connection.since, connection.deadline = stage, time.monotonic(), deadline
        begin = self._poller.modify if connection.watched else self._poller.register
        connection.watched = True  # before it is: in a thread, the loop may be called for it at once
        begin(connection.sock, events, watch)

    def _unwatch(self, connection: Connection) -> None:
        if connection.watched:
            connection.watched = False
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._poller.unregister(connection.sock)

    def _time_out(self, connection: Connection) -> None:
        """End what has waited for too long; a client in the middle of a request is told so."""
        if connection.stage == Stage.BODY or (connection.stage == Stage.HEAD and connection.buffer):
            self._refuse(connection, 408, "Request Timeout", "The request did not arrive in time.")
        else:
            self._close(connection)

    # Reading ----------------------------------------------------------------------------------------

    def _receive(self, connection: Connection, most: int = CHUNK_BYTES) -> bytes | None:
        """Return what has come; None when nothing has. Closes what the client has closed, and returns None."""
        try:
            data = connection.sock.recv(most)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if data:
            return data
        self._close(connection)
        return None

    def _await_head(self, connection: Connection, stage: Stage, seconds: float) -> None:
        read = partial(self._read_head, connection)
        self._enter(connection, stage, time.monotonic() + seconds, read, selectors.EVENT_READ)

    def _read_head(self, connection: Connection) -> None:
        """Take what has come of a request's head."""
        data = self._receive(connection)
        if data is None:
            return
        connection.buffer += data
        if not self._begin(connection) and connection.stage == Stage.IDLE:
            self._await_head(connection, Stage.HEAD, HEAD_SECONDS)  # from its first byte on

    def _begin(self, connection: Connection) -> bool:
        """Begin the request whose head has arrived; False when it has not."""
        buffer = connection.buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request do not count
            del buffer[:2]
        end = buffer.find(HEAD_END)
        if end < 0 and len(buffer) <= HEAD_BYTES:
            return False
        if not 0 <= end <= HEAD_BYTES:
            self._refuse(connection, 431, "Request Header Fields Too Large", "The head is too large.")
            return True
        head = bytes(buffer[: end + len(HEAD_END)])
        del buffer[: end + len(HEAD_END)]
        connection.requests += 1
        try:
            request = Request(self.cfg, IterUnreader([head]), connection.client, connection.requests)
        except Exception as error:  # whatever may be wrong with it
            self._fail(connection, error)
            return True
        connection.request = request
        chunked = isinstance(request.body.reader, ChunkedReader)
        connection.length = connection.missing = -1 if chunked else request.body.reader.length
        if 0 <= connection.length <= ASKED_ABOVE:
            self._read_rest(connection)
        elif self._claim(connection):
            self._hand_over(connection, self._ask)
        else:
            self._refuse(connection, 503, "Service Unavailable", "There is no room for this now.")
        return True

    def _claim(self, connection: Connection) -> bool:
        """Note what a body is going to take; False when all of them would take more than half of the disk's room."""
        self._claimed += max(0, connection.length)
        return self._claimed <= shutil.disk_usage(self._folder).free // 2

    def _read_rest(self, connection: Connection) -> None:
        """Take what has come of the body already, and wait for the rest of it."""
        assert connection.request is not None
        few = connection.length <= IN_MEMORY
        connection.body = io.BytesIO() if few else waiting_room(self._folder)
        connection.progress = Progress()
        here = bytes(connection.buffer[: connection.missing])
        if len(here) < connection.missing:
            if connection.request._expected_100_continue:
                with contextlib.suppress(OSError):  # seen when it is read from
                    connection.outbox.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            read = partial(self._read_body, connection)
            self._enter(connection, Stage.BODY, connection.progress.deadline, read, selectors.EVENT_READ)
        del connection.buffer[: len(here)]
        self._keep(connection, here)

    def _read_body(self, connection: Connection) -> None:
        data = self._receive(connection, min(CHUNK_BYTES, connection.missing))
        if data is not None:
            self._keep(connection, data)

    def _keep(self, connection: Connection, data: bytes) -> None:
        """Keep a piece of a body; with the last one the request is complete."""
        try:
            connection.body.write(data)
        except OSError as error:  # the disk is full
            self.log.error("A body could not be kept: %s", error)
            self._refuse(connection, 503, "Service Unavailable", "There is no room for this now.")
            return
        connection.missing -= len(data)
        connection.progress.move(len(data))
        connection.deadline = connection.progress.deadline
        if not connection.missing:
            connection.body.seek(0)
            self._hand_over(connection, self._work)

    # Working ----------------------------------------------------------------------------------------

    def _hand_over(self, connection: Connection, work: Work) -> None:
        """Let a thread work; what it returns is called in the loop."""
        assert connection.request is not None
        self._unwatch(connection)
        connection.stage = Stage.WORKING
        threads = self._probes if connection.request.path == ALIVE else self._threads
        threads.put(partial(self._take_on, connection, work))

    def _take_on(self, connection: Connection, work: Work) -> None:
        """Work, and let the loop go on with what that returns. In a thread."""
        try:
            then = work(connection)
            if then == self._send and self._await_next(connection):
                return
        except BaseException:
            self.log.exception("A request could not be worked on.")
            then = self._close
        self._results.put(partial(self._after_work, connection, then))
        self._wake()

    def _await_next(self, connection: Connection) -> bool:
        """Watch a connection whose client has its answer, without waking the loop for that. In a thread.

        False when there is more to do than that.
        """
        here = connection.outbox.is_empty and not connection.buffer and connection.length <= ASKED_ABOVE
        if not (here and connection.keep and self.alive and self._accepts):
            return False
        connection.forget_request()
        with self._lock:
            self._await_head(connection, Stage.IDLE, float(self.cfg.keepalive))
        return True

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it wakes anyhow
            os.write(self._wake_write, b"\0")

    def _take_results(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self._wake_read, 4096)
        with contextlib.suppress(Empty):
            while True:
                self._results.get_nowait()()

    def _after_work(self, connection: Connection, then: Next) -> None:
        if connection not in self._connections:
            return
        if self.alive:
            self._accept_more(True)
        then(connection)

    def _work(self, connection: Connection) -> Next:
        """Answer a complete request. In a thread."""
        return self._run(connection, connection.body, {**connection.carried})

    def _ask(self, connection: Connection) -> Next:
        """Ask the application whether it wants a body, and answer when it does not. In a thread."""
        return self._run(connection, io.BytesIO(), {HEAD_ONLY: True})

    def _run(self, connection: Connection, body: object, more: dict[str, object]) -> Next:
        """Call the application. In a thread; returns how it goes on."""
        request, response = connection.request, None
        assert request is not None
        expects = request._expected_100_continue
        request._expected_100_continue = False  # answered by the loop
        try:
            response, environ = create(
                request, connection.outbox, connection.client, connection.server, self.cfg
            )
            environ |= {"wsgi.input": body, "wsgi.multithread": True, **more}
            self._count(response)
            if HEAD_ONLY in more or not self.alive or not self.cfg.keepalive:
                response.force_close()
            if not self._answer(connection, response, environ):
                request._expected_100_continue = expects
                return self._go_on
            connection.keep = not response.should_close()
        except OSError as error:
            if error.errno not in GONE:
                self.log.exception("An answer could not be sent.")
            return self._close
        except Exception as error:
            if response is not None and response.headers_sent:
                self.log.exception("An answer broke off.")
                return self._close
            return partial(self._fail, error=error)
        return self._send

    def _answer(self, connection: Connection, response: Response, environ: dict[str, Any]) -> bool:
        """Write what the application answers, and log it. In a thread.

        False when it was shown the head alone and wants the body.
        """
        asks, began = HEAD_ONLY in environ, datetime.now()  # noqa: DTZ005 - as gunicorn's log has it
        answer = self.wsgi(environ, response.start_response)
        try:
            if asks and response.status_code == 100:
                environ.pop(HEAD_ONLY)
                connection.carried = {k: v for k, v in environ.items() if k.startswith(CARRIED)}
                return False
            _write(response, answer, environ["wsgi.file_wrapper"], connection.outbox)
        finally:
            self.log.access(response, connection.request, environ, datetime.now() - began)  # noqa: DTZ005
            if hasattr(answer, "close"):
                answer.close()
        return True

    def _count(self, response: Response) -> None:
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
            self._wake()
            response.force_close()

    def _go_on(self, connection: Connection) -> None:
        """Read a body that the application wants."""
        assert connection.request is not None
        if connection.length < 0:
            self._refuse(connection, 411, "Length Required", "Send the body with its Content-Length.")
        else:
            self._read_rest(connection)

    # Sending ----------------------------------------------------------------------------------------

    def _fail(self, connection: Connection, error: Exception) -> None:
        """Answer what gunicorn answers to such an error."""
        with contextlib.suppress(OSError):
            self.handle_error(connection.request, connection.outbox, connection.client, error)
        connection.keep = False
        self._send(connection)

    def _refuse(self, connection: Connection, status: int, reason: str, words: str) -> None:
        """Answer before the application was asked."""
        with contextlib.suppress(OSError):
            util.write_error(connection.outbox, status, reason, words)
        connection.keep = False
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """Let the client take the answer, then go on to its next request."""
        connection.progress = Progress()
        if connection.outbox.is_empty:
            self._answered(connection)
            return
        send = partial(self._flush, connection)
        self._enter(connection, Stage.SENDING, connection.progress.deadline, send, selectors.EVENT_WRITE)

    def _flush(self, connection: Connection) -> None:
        try:
            sent = connection.outbox.flush()
        except OSError:
            self._close(connection)
            return
        if sent:
            connection.progress.move(sent)
            connection.deadline = connection.progress.deadline
        if connection.outbox.is_empty:
            self._answered(connection)

    def _answered(self, connection: Connection) -> None:
        unread = connection.missing != 0 or connection.request is None
        self._release(connection)
        connection.forget_request()
        if connection.keep:
            if not self._begin(connection):
                stage, seconds = Stage.IDLE, float(self.cfg.keepalive)
                if connection.buffer:
                    stage, seconds = Stage.HEAD, HEAD_SECONDS
                self._await_head(connection, stage, seconds)
        elif unread:
            self._linger(connection)
        else:
            self._close(connection)

    def _linger(self, connection: Connection) -> None:
        """Throw away for a moment what a client goes on sending: closing at once would take its answer from it."""
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_WR)
        connection.progress = Progress()
        drain = partial(self._drain, connection)
        deadline = time.monotonic() + LINGER_SECONDS
        self._enter(connection, Stage.LINGERING, deadline, drain, selectors.EVENT_READ)

    def _drain(self, connection: Connection) -> None:
        data = self._receive(connection)
        if data is not None:
            connection.progress.move(len(data))
            if connection.progress.moved > LINGER_BYTES:
                self._close(connection)


def _write(response: Response, answer: Any, file_wrapper: type, outbox: Outbox) -> None:
    """Write an answer, its head and its first piece together: each packet wakes the client."""
    if isinstance(answer, file_wrapper):
        response.write_file(answer)
    else:
        pieces = iter(answer)
        with outbox.together():
            for first in itertools.islice(pieces, 1):
                response.write(first)
        for piece in pieces:
            response.write(piece)
    response.close()
