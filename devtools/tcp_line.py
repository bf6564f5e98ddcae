"""A line to a server that a test can cut: a forwarder on a port of its own, before the real server.

>>> with TcpLine(("127.0.0.1", 6379)) as line:
...     PlatformProcess(home, env={"CELERY_BROKER_URL": f"redis://127.0.0.1:{line.port}/0"})
...     line.cut()
...     line.mend()
"""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

from devtools.servers import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TcpLine:
    """A forwarder as a context manager; while it is cut nobody listens on its port."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.port = free_port()
        self._host, self._server_port = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-line", daemon=True)
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break every connection and refuse further ones."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def mend(self) -> None:
        """Let connections through again."""
        asyncio.run_coroutine_threadsafe(self._mend(), self._loop).result(10)

    async def _cut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for writer in list(self._open):
            writer.transport.abort()
        while self._open:
            await asyncio.sleep(0.01)

    async def _mend(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError):
                server = await asyncio.open_connection(self._host, self._server_port)
                self._open.add(server[1])
                try:
                    await asyncio.wait(
                        [
                            asyncio.create_task(_carry(reader, server[1])),
                            asyncio.create_task(_carry(server[0], writer)),
                        ],
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                finally:
                    server[1].transport.abort()
                    self._open.discard(server[1])
        finally:
            writer.transport.abort()
            self._open.discard(writer)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
