"""TCP servers on loopback that misbehave as told, and count what reached them."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"code":0}'


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read one whole request and note its body with the server."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        self.server.heads.append(head)
        self.server.bodies.append(await self.reader.readexactly(length))
        return self.server.bodies[-1]

    async def send(self, data: bytes) -> None:
        """Write and flush."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with an RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


class Server:
    """What came in, over all connections."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.port = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    def url(self, host: str = "127.0.0.1") -> str:
        """An address here, with a query that must not be repeated in any error."""
        return f"{self.scheme}://{host}:{self.port}/push?key=hidden"


Behaviour = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(
    behave: Behaviour, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Server]:
    """A TCP server on loopback that treats each connection as told and then closes it."""
    server = Server("http" if tls is None else "https")
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        server.connections += 1
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behave(Peer(server, reader, writer))
        writer.close()

    listener = await asyncio.start_server(connected, host, port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()  # TLS would wait for the other side to say good-bye
        await asyncio.sleep(0)


async def wait_until(predicate: Callable[[], bool], what: str, timeout_s: float = 5) -> None:
    """Give way until it holds."""
    end = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.001)


def answering(*parts: bytes) -> Behaviour:
    """Answer each request of a connection with the next of these, then close."""

    async def behave(peer: Peer) -> None:
        for part in parts:
            await peer.request()
            await peer.send(part)

    return behave


async def silent(peer: Peer) -> None:
    """Accept, read, never say a word."""
    await peer.reader.read()


async def deaf(peer: Peer) -> None:
    """Take the request and never answer."""
    await peer.request()
    await silent(peer)
