"""Redis dies or hangs, and a worker of the callback dies, while messages are judged: nothing is late or lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from redis import Redis
from support.callback import Callback, c2c, callback, moderation, query
from support.channels import register
from support.waiting import wait_until

from pushlane.async_producer import AsyncProducer
from pushlane.callback.tencent.question import keys_of, parse
from pushlane.callback.tencent.signature import Query
from pushlane.keys import DECISIONS_PREFIX, UNFED, channel_prefix
from pushlane.service import retry_effects
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.alone, pytest.mark.timeout(120), pytest.mark.long]
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


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A server of our own, which keeps its data when it is killed."""
    with EmbeddedServer(append_only=True) as server:
        yield server


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """Its address."""
    return server.url


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


def serving(callback: Callback) -> list[int]:
    """The processes that answer: uvicorn's children which listen, without multiprocessing's own."""
    tasks = Path(f"/proc/{callback.process.pid}/task")
    found = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def entries(client: Redis) -> list[str]:
    """The keys of the recorded decisions, as often as they are recorded."""
    found: Any = client.xrange(f"{DECISIONS_PREFIX}stream")
    return [fields[b"key"].decode() for _, fields in found]


def spool_is_fed(folder: Path) -> bool:
    """Whether nothing is left on disk, but for the empty files of the living."""
    return all(file.stat().st_size == 0 for file in (folder / "spool").iterdir())


def spooled_by(pid: int) -> int:
    """Bytes that this process has on disk."""
    links = [file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.stat().st_size for link in links if link.suffix == ".spool1")


def relayed(client: Redis) -> list[bytes]:
    """The ids of the enqueued messages."""
    found: list[bytes] = client.keys(f"{channel_prefix('support')}message:*")  # type: ignore[assignment] # of a blocking client
    return found


async def sweep(url: str) -> None:
    """What the workers do with effects that nobody has acknowledged, without waiting for their time."""
    async with AsyncProducer(url) as producer:
        await retry_effects.retry_lanes(producer._redis, producer, 86_400)


def check_answers(asked: Asked, most_broken: int) -> None:
    """All were answered in time and rightly, but for those of a killed worker."""
    assert len(asked.codes) + len(asked.broken) == MESSAGES
    assert len(asked.broken) <= most_broken
    assert max(asked.took.values()) < BUDGET_S, sorted(asked.took.values())[-10:]
    assert {number for number, code in asked.codes.items() if code == FORBIDDEN} == {
        number for number in asked.codes if number % 3 == 0
    }
    assert set(asked.codes.values()) == {ALLOWED, FORBIDDEN}


@pytest.mark.parametrize("away", ["killed", "stopped"])
@pytest.mark.parametrize("settings", [{}, RELAY], ids=["alone", "relay"])
def test_nothing_is_late_or_lost_while_redis_is_away_and_a_worker_dies(
    server: EmbeddedServer, tmp_path: Path, away: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered within the budget; once Redis is back each answer is recorded, and each allowed one enqueued, once."""
    with Redis.from_url(server.url) as client:
        register(client)
    with callback(tmp_path, server.url, moderation(tmp_path, **settings), workers=2) as running:
        workers = serving(running)
        assert len(workers) == 2
        on_disk: list[int] = []

        def kill_worker() -> None:
            # Over few connections one of them may have had nearly all questions.
            victim = max(workers, key=spooled_by)
            on_disk.append(spooled_by(victim))
            os.kill(victim, signal.SIGKILL)

        # What comes back in mid-flight, with a load on it.
        back = server.resume if away == "stopped" else server.start
        events = {100: server.pause if away == "stopped" else server.kill, 250: kill_worker}
        asked = asyncio.run(ask_all(running.url, events | ({400: back} if away == "stopped" else {})))
        if away == "killed":
            back()  # a server is started in the main thread alone
        assert on_disk[0] > 0, "the worker was killed before it had anything on disk"
        check_answers(asked, most_broken=16)
        wait_until(lambda: len(serving(running)) == 2, "the worker to be replaced")
        wait_until(lambda: spool_is_fed(tmp_path), "the spool to be fed", 20)

        with Redis.from_url(server.url) as client:
            recorded = entries(client)
            assert len(recorded) == len(set(recorded))
            assert set(asked.keys()) <= set(recorded)
            assert set(recorded) <= set(map(key_of, range(MESSAGES)))
            monkeypatch.setattr(retry_effects, "REFEED_AFTER_MS", 0)

            def swept() -> bool:
                asyncio.run(sweep(server.url))
                return bool(client.zcard(UNFED) == 0)

            wait_until(swept, "all effects to be done", 20)
            # Also what a killed worker recorded and did not answer: it was allowed all the same.
            allowed = [
                key for key in map(key_of, range(MESSAGES)) if key in recorded and not _is_forbidden(client, key)
            ]
            assert len(relayed(client)) == (len(allowed) if settings else 0)
            assert len(allowed) >= list(asked.codes.values()).count(ALLOWED)


def _is_forbidden(client: Redis, key: str) -> bool:
    answered: Any = client.get(f"{DECISIONS_PREFIX}by-key:{key}")
    return bool(json.loads(answered)["kind"] == "forbid")
