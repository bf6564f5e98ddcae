"""What is written to a client: never waiting, in order, and in few packets."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.transfers import Outbox


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection that keeps the borders of what is sent."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_what_is_written_together_is_sent_once(
    ends: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = ends
    outbox = Outbox(ours, str(tmp_path))
    with outbox.together():
        outbox.sendall(b"head ")
        outbox.sendall(b"body")
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
    outbox.sendall(b" more")
    assert (theirs.recv(100), theirs.recv(100)) == (b"head body", b" more")
    assert outbox.is_empty


def test_what_broke_off_is_not_sent(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    ours, theirs = ends
    outbox = Outbox(ours, str(tmp_path))
    with pytest.raises(KeyError), outbox.together():
        outbox.sendall(b"head ")
        raise KeyError
    outbox.sendall(b"an error")
    assert theirs.recv(100) == b"an error"


def test_what_a_client_does_not_take_is_kept_in_order(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.setblocking(False)
        outbox = Outbox(ours, str(tmp_path))
        sent = bytes(range(256)) * 8192
        with outbox.together():
            outbox.sendall(sent[:1000])
            outbox.sendall(sent[1000:])
        assert not outbox.is_empty
        received = b""
        while len(received) < len(sent):
            received += theirs.recv(2**20)
            outbox.flush()
        assert received == sent
        assert outbox.is_empty
