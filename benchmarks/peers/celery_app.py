"""Plain Celery: a task a message, which makes one push with httpx."""

from __future__ import annotations

from functools import cache

import httpx
from celery import Celery

from benchmarks.peers.cinnox import BROKER, HEADERS, URL, body

app = Celery("peer", broker=BROKER)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@cache
def client() -> httpx.Client:
    """One a process: it is safe to share between threads."""
    return httpx.Client(headers=HEADERS, limits=httpx.Limits(max_keepalive_connections=64))


@app.task  # type: ignore[untyped-decorator] # celery has no types
def push(room: str, text: str) -> None:
    """Pushes one message."""
    client().post(URL, json=body(room, [text])).raise_for_status()
