"""taskiq with its Redis list broker: a task a message, which makes one push with aiohttp."""

from __future__ import annotations

import aiohttp
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import ListQueueBroker

from benchmarks.peers.cinnox import BROKER, HEADERS, URL, body

# redis-py 8 gives up on a blocking read after five seconds by default, and the broker reads without end.
broker = ListQueueBroker(BROKER, socket_timeout=None)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)  # type: ignore[untyped-decorator] # it is not installed here
async def startup(state: TaskiqState) -> None:
    """Opens the session, one a process."""
    state.session = aiohttp.ClientSession(headers=HEADERS)


@broker.task  # type: ignore[untyped-decorator] # it is not installed here
async def push(room: str, text: str, context: Context = TaskiqDepends()) -> None:  # noqa: B008 # taskiq's own way
    """Pushes one message."""
    async with context.state.session.post(URL, json=body(room, [text])) as answer:
        answer.raise_for_status()
