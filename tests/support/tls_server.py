"""A server that speaks TLS in front of one that does not, with a thread for each connection."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

HOST = "127.0.0.1"
HANDSHAKE_S = 10.0


class TlsServer(socketserver.ThreadingTCPServer):
    """Decrypts for a port of this machine."""

    request_queue_size = 50

    def __init__(self, target: int, context: ssl.SSLContext) -> None:
        super().__init__((HOST, 0), _Connection)
        self.target = target
        self.context = context
        self.ends, self._end = socket.socketpair()
        self.accepted = 0
        """Connections so far, also those that one of the two sides has refused."""

    @property
    def where(self) -> str:
        """Its host and port."""
        return f"{HOST}:{self.server_address[1]}"

    def close(self) -> None:
        """Ends all connections."""
        self.shutdown()
        self._end.close()
        self.server_close()
        self.ends.close()


class _Connection(socketserver.BaseRequestHandler):
    server: TlsServer

    def handle(self) -> None:
        self.server.accepted += 1
        self.request.settimeout(HANDSHAKE_S)
        with contextlib.suppress(OSError):
            near = self.server.context.wrap_socket(self.request, server_side=True)
            with near, socket.create_connection((HOST, self.server.target)) as far:
                self._hand_on(near, far)

    def _hand_on(self, near: ssl.SSLSocket, far: socket.socket) -> None:
        """Until one of the two has ended, or the server closes."""
        while True:
            ready = select.select([near, far, self.server.ends], [], [])[0]
            if self.server.ends in ready:
                return
            for source, sink in ((near, far), (far, near)):
                if source in ready:
                    data = source.recv(1 << 16)
                    while isinstance(source, type(near)) and near.pending():
                        data += near.recv(1 << 16)
                    if not data:
                        return
                    sink.sendall(data)


@contextlib.contextmanager
def tls_server(target: int, context: ssl.SSLContext) -> Iterator[TlsServer]:
    """The server in front of this port, on a port of its own."""
    server = TlsServer(target, context)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
