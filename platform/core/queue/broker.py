"""A broker in a folder, for platforms without RabbitMQ or Redis; a reader never sees half a file.

kombu's own transport writes files in place, and a worker that looks in the wrong moment, or after a
process was killed in it, ends with a JSON error. Here a file appears whole or not at all, and what a
power failure leaves is thrown away: messages are hints, and the next reconcile repeats them.
"""

import fcntl
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import structlog
from kombu.transport import filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps

logger = structlog.get_logger(__name__)


class Channel(filesystem.Channel):
    """Messages and routing tables as files that are renamed into their place."""

    def get_table(self, exchange: str) -> list[exchange_queue_t]:  # type: ignore[override]
        """Return the queues of an exchange; none where its file cannot be read, which binding mends."""
        try:
            return super().get_table(exchange)
        except ValueError:
            logger.warning("broker.table_unreadable", exchange=exchange)
            return []

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str) -> None:
        path: Path = self._exchange_file(exchange)  # type: ignore[attr-defined]
        bound = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with (self.control_folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
            table = self.get_table(exchange)
            if bound not in table:
                _write_whole(path, [bound, *table])

    def _put(self, queue: str, payload: object, **_: object) -> None:  # type: ignore[override]
        Path(self.data_folder_out).mkdir(parents=True, exist_ok=True)  # where it was cleared away
        name = f"{time.time_ns():020}_{uuid.uuid4()}.{queue}.msg"
        _write_whole(Path(self.data_folder_out, name), payload)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:
            try:
                return super()._get(queue)
            except ValueError:  # it is gone from the folder; there may be more
                logger.warning("broker.message_unreadable", queue=queue)
            except FileNotFoundError as error:  # no folder, no messages
                raise Empty from error


class Transport(filesystem.Transport):
    """kombu's filesystem transport with these channels."""

    Channel = Channel


def _write_whole(path: Path, content: object) -> None:
    draft = path.with_name(f"{uuid.uuid4()}.draft")
    draft.write_bytes(str_to_bytes(dumps(content)))
    draft.replace(path)
