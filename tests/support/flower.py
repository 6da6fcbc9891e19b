"""Flower, watching the workers of a stack."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
from support.ports import free_port
from support.processes import installed, running
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.stack import Stack


@contextlib.contextmanager
def flower(stack: Stack) -> Iterator[str]:
    """Its address; it answers when this gives it."""
    port = free_port()
    env = stack.environment | {"FLOWER_UNAUTHENTICATED_API": "true"}
    words = [installed("celery"), "-A", "pushlane_worker", "flower", f"--port={port}", "--address=127.0.0.1"]
    with running(words, env=env, cwd=stack.folder, log=stack.folder / "flower.log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), "Flower to answer", 60)
        yield url


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthcheck").status_code == 200
    return False
