"""A client's connection to the web server: what it is at, what of it has arrived, and how many there may be."""

import contextlib
import resource
import socket
import time
from enum import IntEnum
from typing import Any

from gunicorn.http.message import Request

from .transfers import Outbox, Progress

HEAD_SECONDS = 10.0  # for the whole head of a request
FILES = 8192  # to ask the system for
FILES_OF_OTHERS = 200  # models, database, logs
FILES_OF_A_CONNECTION = 3  # the socket, its body, its answer


class Stage(IntEnum):
    """What a connection is at; of those that wait for their clients, the first go first when there are too many."""

    IDLE = 0  # kept after an answer, nothing of the next request has come
    LINGERING = 1  # answered, about to be closed
    HEAD = 2
    BODY = 3
    SENDING = 4
    WORKING = 5  # a thread has it


class Connection:
    """A client's connection and the request that it is at."""

    def __init__(self, sock: socket.socket, client: Any, server: Any, folder: str) -> None:
        self.sock, self.client, self.server = sock, client, server
        self.outbox = Outbox(sock, folder)
        self.stage = Stage.HEAD
        self.since = time.monotonic()  # of this stage
        self.deadline = self.since + HEAD_SECONDS
        self.buffer = bytearray()  # received and not used yet
        self.requests = 0  # so far
        self.request: Request | None = None
        self.body: Any = None
        self.length = self.missing = 0  # bytes of the body; -1 where the request does not say
        self.carried: dict[str, Any] = {}
        self.progress = Progress()
        self.keep = False  # whether it is used again after the answer
        self.watched = False  # by the loop

    def forget_request(self) -> None:
        """Let go of a request that was answered or given up."""
        if self.body is not None:
            self.body.close()
        self.request, self.body, self.carried = None, None, {}
        self.length = self.missing = 0


def connections_at_once() -> int:
    """Return how many connections this process has files for; asks the system for more than a shell usually gives."""
    return _files() // FILES_OF_A_CONNECTION


def _files() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(64, (FILES if soft == resource.RLIM_INFINITY else soft) - FILES_OF_OTHERS)
