"""An HTTP proxy on loopback that knows one user, and a server behind it that has a certificate for localhost."""

import asyncio
import ssl

import trustme
from hostile import Peer

CREDENTIALS = "u:p%C3%A4@"
"""The user's part of the proxy's address."""
SHOWN = b"Proxy-Authorization: Basic dTpww6Q="
"""What becomes of it, as UTF-8."""


async def forwards(peer: Peer) -> None:
    """Connect to where it is asked to, if the credentials are right."""
    head = await peer.reader.readuntil(b"\r\n\r\n")
    peer.server.heads.append(head)
    if SHOWN not in head:
        await peer.send(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
        return
    host, _, port = head.split()[1].decode().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))
    finally:
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


def certified(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context for the name localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context
