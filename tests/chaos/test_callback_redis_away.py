"""Redis dies or hangs, and a worker of the callback dies, while messages are judged: nothing is late or lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from support.callback import Callback, callback, moderation
from support.channels import register
from support.steady_questions import ALLOWED, MESSAGES, RELAY, ask_all, check_answers, entries, key_of, spool_is_fed
from support.waiting import wait_until

from pushlane.async_producer import AsyncProducer
from pushlane.keys import DECISIONS_PREFIX, UNFED, channel_prefix
from pushlane.service import retry_effects
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.alone, pytest.mark.timeout(120), pytest.mark.long]


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A server of our own, which keeps its data when it is killed."""
    with EmbeddedServer(append_only=True) as server:
        yield server


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """Its address."""
    return server.url


def serving(callback: Callback) -> list[int]:
    """The processes that answer: uvicorn's children which listen, without multiprocessing's own."""
    tasks = Path(f"/proc/{callback.process.pid}/task")
    found = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


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
