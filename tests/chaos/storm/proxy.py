"""TCP links that can be cut, stalled, delayed, or cut in the middle of an answer.

A link drops what it still holds when its client leaves: nothing reaches a server after the client has given up.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Self, cast

from chaos.storm.pulse import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.storm.lines import Lines

HOST: Final = "127.0.0.1"
HEALS_S: Final = 0.005


class _Side(asyncio.Protocol):
    """One end of a connection; ``other`` is the opposite one, once there is one."""

    def __init__(self, link: _Link, other: _Side | None = None) -> None:
        self.link = link
        self.other = other
        self.answers = other is not None
        self.transport: asyncio.Transport | None = None
        self.held: deque[tuple[float, bytes]] = deque()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.link.sides.add(self)
        if self.other is None:
            self.link.call_server(self)
        else:
            self.other.other = self
            self.other.pump()

    def data_received(self, data: bytes) -> None:
        if self.answers and self.link.truncations > 0:
            self.link.truncations -= 1
            self.link.truncated()
            self.write_to_other(data[: len(data) // 2])
            self.leave()
            return
        due = self.link.loop.time() + self.link.delay_s
        self.held.append((max(due, self.held[-1][0]) if self.held else due, data))
        self.pump()

    def pump(self) -> None:
        """Passes on what is due."""
        if self.link.stalled or self.other is None or self.other.transport is None:
            return
        while self.held and self.held[0][0] <= self.link.loop.time():
            self.write_to_other(self.held.popleft()[1])
        if self.held:
            self.link.loop.call_at(self.held[0][0], self.pump)

    def write_to_other(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.leave()

    def leave(self, *, reset: bool = False) -> None:
        """Ends both ends."""
        if self.gone:
            return
        self.gone = True
        self.held.clear()
        self.link.sides.discard(self)
        if self.transport is not None:
            (self.transport.abort if reset else self.transport.close)()
        if self.other is not None:
            self.other.leave(reset=reset)


class _Link:
    """A listener whose connections lead to one server; ``usual_s`` is the delay of a good day."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, target: int, usual_s: float, truncated: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.sides: set[_Side] = set()
        self.refuses = self.stalled = False
        self.usual_s = self.delay_s = usual_s
        self.truncations = 0
        self.truncated = truncated
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self) -> _Side:
        return _Side(self)

    def call_server(self, client: _Side) -> None:
        if self.refuses:
            client.leave(reset=True)
            return
        task = self.loop.create_task(self._call_server(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call_server(self, client: _Side) -> None:
        server = _Side(self, client)
        try:
            await self.loop.create_connection(lambda: server, HOST, self._target)
        except OSError:
            client.leave(reset=True)
        if client.gone:
            server.leave()

    def pump(self) -> None:
        for side in list(self.sides):
            side.pump()

    def reset(self) -> None:
        for side in list(self.sides):
            side.leave(reset=True)


class Links:
    """All links of a storm, on an event loop in a thread of their own; a context manager.

    When one has passed on half of an answer, it writes that down.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._links: dict[str, _Link] = {}
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._pulse = asyncio.run_coroutine_threadsafe(watch(self._lines), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._pulse.cancel()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lay(self, name: str, target: int, usual_s: float = 0.0) -> int:
        """A new link to a port of this machine; its own port. ``usual_s`` is what each way takes without a fault."""
        link = self._links[name] = _Link(self._loop, target, usual_s, lambda: self._lines.write("truncated", link=name))

        async def listen() -> int:
            server = await self._loop.create_server(link.accept, HOST, 0, backlog=200)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(listen(), self._loop).result()

    def cut(self, name: str, *, refuses: bool) -> None:
        """Resets all connections; while it ``refuses``, new ones too."""

        def cut(link: _Link) -> None:
            link.refuses = refuses
            link.reset()

        self._change(name, cut)

    def stall(self, name: str) -> None:
        """Accepts everything and passes on nothing."""
        self._change(name, lambda link: setattr(link, "stalled", True))

    def delay(self, name: str, seconds: float) -> None:
        """Passes everything on so much later than usual."""
        self._change(name, lambda link: setattr(link, "delay_s", link.usual_s + seconds))

    def truncate(self, name: str, answers: int) -> None:
        """Passes on half of each of the next pieces, this many, of an answer, and ends their connections."""
        self._change(name, lambda link: setattr(link, "truncations", answers))

    def heal(self, name: str) -> None:
        """As at the start."""

        def mend(link: _Link) -> None:
            link.refuses, link.stalled, link.delay_s, link.truncations = False, False, link.usual_s, 0
            # A timer, which comes after what the sockets have to say: that a client has left.
            link.loop.call_later(HEALS_S, link.pump)

        self._change(name, mend)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for link in self._links.values():
            link.reset()
        await asyncio.sleep(0)  # their sockets are closed by the loop's next round

    def _change(self, name: str, change: Callable[[_Link], object]) -> None:
        async def changed() -> None:
            change(self._links[name])

        asyncio.run_coroutine_threadsafe(changed(), self._loop).result()
