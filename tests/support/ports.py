"""Ports for the servers that tests start."""

import secrets
import socket

from pushlane_worker.embedded import HOST, PORTS


def free_port() -> int:
    """A loopback port that belongs to this process until it ends, whether or not its server runs.

    A socket that never listens holds it: the kernel gives the port to a server that knows it (they all set
    SO_REUSEADDR), and to nobody who only looks for a free one.
    """
    # Not `random`: pytest-randomly seeds it alike in all processes, which would then try the same ports.
    while True:
        port, holder = secrets.choice(PORTS), socket.socket()
        try:
            holder.bind((HOST, port))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.detach()
        return port
