"""A TCP proxy between a client and its Redis: for unix sockets, and failovers that old connections survive."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any


class Proxy:
    """Hands bytes on to a port of this machine. Only new connections go to a ``target`` that was changed."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._accepted: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """The address of the Redis behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def open(self, path: Path | None) -> None:
        """Listens, and goes on to."""
        if path is not None:
            self._server = await asyncio.start_unix_server(self._accept, path)
            return
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends all connections."""
        self._server.close()
        for task in self._accepted:
            task.cancel()
        await asyncio.gather(*self._accepted, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._accepted.add(task)
            task.add_done_callback(self._accepted.discard)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            await asyncio.gather(self._hand_on(reader, far_writer), self._hand_on(far_reader, writer))
        except asyncio.CancelledError:
            pass
        finally:
            far_writer.transport.abort()
            writer.transport.abort()

    @staticmethod
    async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextlib.contextmanager
def proxy(target: int, *, path: Path | None = None) -> Iterator[Proxy]:
    """A proxy in a thread of its own, on a port or on a unix socket at this path."""
    loop = asyncio.new_event_loop()
    made = Proxy(target)

    def call(step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result(10)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        call(made.open(path))
        yield made
    finally:
        call(made.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
