"""The folder as a broker: whole messages or none, whatever happens to the files."""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from core.queue.broker import Channel, Transport

MESSAGES = 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    Transport.global_state.clear()  # what this process has bound before
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.01,
    }
    with Connection(
        "filesystem://localhost//", transport="core.queue.broker:Transport", transport_options=options
    ) as connection:
        yield connection


def channel_of(connection: Connection) -> Channel:
    channel = connection.channel()
    assert isinstance(channel, Channel)
    return channel


@pytest.mark.parametrize(
    "content", [b"", b'{"body": "eyJ', b"\xff\xfe"], ids=["empty", "cut off", "not text"]
)
def test_message_that_a_crash_cut_off_is_thrown_away(
    folder: Path, connection: Connection, content: bytes
) -> None:
    channel = channel_of(connection)
    (folder / "messages" / f"{0:020}_first.cpu.msg").write_bytes(content)
    channel._put("cpu", {"number": 2})
    assert channel._get("cpu") == {"number": 2}
    with pytest.raises(Empty):
        channel._get("cpu")
    assert list((folder / "messages").iterdir()) == []


def test_message_that_cannot_be_written_leaves_nothing_behind(folder: Path, connection: Connection) -> None:
    with pytest.raises(TypeError):
        channel_of(connection)._put("cpu", {"number": object})
    assert list((folder / "messages").iterdir()) == []


def test_messages_come_in_the_order_sent_and_to_their_queue(connection: Connection) -> None:
    channel = channel_of(connection)
    for number in range(5):
        channel._put("cpu", {"number": number})
    channel._put("gpu", {"number": 9})
    assert [channel._get("cpu")["number"] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert channel._get("gpu") == {"number": 9}


@pytest.mark.parametrize("content", [b"", b'[["cp'], ids=["empty", "cut off"])
def test_routing_table_that_a_crash_cut_off_is_written_anew(
    folder: Path, connection: Connection, content: bytes
) -> None:
    (folder / "control" / "cpu.exchange").write_bytes(content)
    queue = connection.SimpleQueue("cpu")
    queue.put({"number": 1})
    assert queue.get(timeout=5).payload == {"number": 1}
    queue.close()


def test_many_senders_and_a_reader_at_once(folder: Path, connection: Connection) -> None:
    failures: list[BaseException] = []

    def send(sender: int) -> None:
        try:
            with connection.clone() as own, own.SimpleQueue(f"queue{sender % 2}") as queue:
                for number in range(MESSAGES // 4):
                    queue.put({"number": (sender, number)})
        except BaseException as error:
            failures.append(error)
            raise

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    found = set()
    with connection.SimpleQueue("queue0") as even, connection.SimpleQueue("queue1") as odd:
        for thread in senders:
            thread.start()
        for queue in (even, odd):
            for _ in range(MESSAGES // 2):
                message = queue.get(timeout=20)
                found.add(tuple(message.payload["number"]))
                message.ack()
    for thread in senders:
        thread.join()
    assert failures == []
    assert len(found) == MESSAGES
