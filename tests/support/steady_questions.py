"""A callback that is asked at a steady pace, whatever becomes of its answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from support.callback import c2c, query

from pushlane.callback.tencent.question import keys_of, parse
from pushlane.callback.tencent.signature import Query
from pushlane.keys import DECISIONS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

MESSAGES = 500
BUDGET_S = 1.6
PACE_S = 0.008
"""Between two questions: 500 of them take 4 s."""
ALLOWED, FORBIDDEN = 0, 1
RELAY = {"relay_channel": "support", "relay_room": "{To_Account}"}


@dataclass
class Asked:
    """What became of the questions, by number."""

    codes: dict[int, int] = field(default_factory=dict)
    took: dict[int, float] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)

    def keys(self) -> dict[str, int]:
        """The code of each answered one, by its decision's key."""
        return {key_of(number): code for number, code in self.codes.items()}


def question(number: int) -> dict[str, Any]:
    """Every third one is forbidden."""
    text = "go to the casino" if number % 3 == 0 else f"hello {number}"
    return c2c(number, text, To_Account=f"bob{number % 7}")


def key_of(number: int) -> str:
    """The key of its decision."""
    body = httpx.Request("POST", "http://x", json=question(number)).content
    message = parse(body, Query("1400000001", "C2C.CallbackBeforeSendMsg"))
    return keys_of(message).decision  # type: ignore[arg-type] # it is one


async def ask_all(url: str, events: dict[int, Callable[[], None]]) -> Asked:
    """Asks everything, each at its time whatever becomes of the others; events happen before their question."""
    asked = Asked()
    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_keepalive_connections=16)) as client:

        async def ask(number: int) -> None:
            started = time.monotonic()
            try:
                response = await client.post(f"{url}/tencent/callback?{query()}", json=question(number))
            except httpx.TransportError:
                asked.broken.add(number)
                return
            asked.took[number] = time.monotonic() - started
            assert response.status_code == 200
            asked.codes[number] = response.json()["ErrorCode"]

        async with asyncio.TaskGroup() as group:
            for number in range(MESSAGES):
                if number in events:
                    await asyncio.to_thread(events[number])
                group.create_task(ask(number))
                await asyncio.sleep(PACE_S)
    return asked


def entries(client: Redis) -> list[str]:
    """The keys of the recorded decisions, as often as they are recorded."""
    found: Any = client.xrange(f"{DECISIONS_PREFIX}stream")
    return [fields[b"key"].decode() for _, fields in found]


def spool_is_fed(folder: Path) -> bool:
    """Whether nothing is left on disk, but for the empty files of the living."""
    return all(file.stat().st_size == 0 for file in (folder / "spool").iterdir())


def check_answers(asked: Asked, most_broken: int) -> None:
    """All were answered in time and rightly, but for those of a killed worker."""
    assert len(asked.codes) + len(asked.broken) == MESSAGES
    assert len(asked.broken) <= most_broken
    assert max(asked.took.values()) < BUDGET_S, sorted(asked.took.values())[-10:]
    assert {number for number, code in asked.codes.items() if code == FORBIDDEN} == {
        number for number in asked.codes if number % 3 == 0
    }
    assert set(asked.codes.values()) == {ALLOWED, FORBIDDEN}
