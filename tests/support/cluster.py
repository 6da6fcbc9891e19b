"""A Redis Cluster of two nodes."""

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from redis import Redis, RedisError
from support.waiting import wait_until

from pushlane_worker import embedded
from pushlane_worker.embedded import free_port

SLOTS = 16_384


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[list[str]]:
    """The addresses of its nodes, each of which has half of the slots."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(_node(folder / str(number))) for number in range(2)]
        (first, *_), (second, port, bus) = nodes
        first.cluster("ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        second.cluster("ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        first.cluster("MEET", "127.0.0.1", port, bus)
        for client, *_ in nodes:
            wait_until(partial(_is_whole, client), "the cluster", 20)
        yield [f"redis://127.0.0.1:{port}/0" for _, port, _ in nodes]


@contextlib.contextmanager
def _node(folder: Path) -> Iterator[tuple[Redis, int, int]]:
    folder.mkdir()
    port, bus = free_port(), free_port()
    binary = str(embedded.server_binary())
    words = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    words += ["--cluster-enabled", "yes", "--cluster-port", str(bus), "--loglevel", "warning"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process, Redis(port=port) as client:
        try:
            wait_until(lambda: _answers(client), "the node")
            yield client, port, bus
        finally:
            process.kill()


def _is_whole(client: Redis) -> bool:
    return bool(client.cluster("INFO")["cluster_state"] == "ok")


def _answers(client: Redis) -> bool:
    with contextlib.suppress(RedisError):
        return bool(client.ping())
    return False
