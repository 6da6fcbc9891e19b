"""celery-batches: a flush groups its messages by room and pushes at most ten at a time."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
from celery import Celery
from celery_batches import Batches

from benchmarks.peers.cinnox import BROKER, HEADERS, URL, body

if TYPE_CHECKING:
    from collections.abc import Sequence

FLUSH_EVERY = 100
"""Ten rooms, since the backlog has ten messages of a room in a row."""

app = Celery("peer", broker=BROKER)
# Its documents ask for a prefetch count of at least flush_every.
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_prefetch_multiplier=0)


@cache
def client() -> httpx.Client:
    """One a process."""
    return httpx.Client(headers=HEADERS)


@app.task(base=Batches, flush_every=FLUSH_EVERY, flush_interval=1)  # type: ignore[untyped-decorator] # celery has no types
def push(requests: Sequence[Any]) -> None:
    """Pushes what a flush holds."""
    rooms = defaultdict(list)
    for request in requests:
        room, text = request.args
        rooms[room].append(text)
    for room, texts in rooms.items():
        for start in range(0, len(texts), 10):
            client().post(URL, json=body(room, texts[start : start + 10])).raise_for_status()
