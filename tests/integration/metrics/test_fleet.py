"""Three workers and a callback: whichever is asked tells what the chat API has counted."""

from __future__ import annotations

import socket
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest
from support.callback import c2c, callback, moderation
from support.metrics import Metrics, scrape
from support.ports import free_port
from support.processes import installed, running
from support.stack import Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.operators.overview import PUSH_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.stack import FakeApi

CHANNELS = ("support", "vip")
MESSAGES, ROOMS = 600, 20
REJECTED = dict.fromkeys(CHANNELS, MESSAGES // 100)
ALLOWED = 3
DELIVERED = len(CHANNELS) * MESSAGES - sum(REJECTED.values()) + ALLOWED
OF_A_PROCESS = ("pushlane_spool_bytes", "pushlane_spool_decisions", "pushlane_build_info")


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """Two channels, `support` and `vip` with a queue of its own."""
    settings = channel_settings(api.url) | channel_settings(api.url, "vip", queue="vip")
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


def check_pushes(found: Metrics, stack: Stack) -> None:
    """Their outcomes, sizes and durations are those that the API has seen."""
    pushes, by_status = stack.api.pushes(), stack.record().by_status
    outcomes: Counter[str] = Counter()
    for channel in CHANNELS:
        outcomes.update(found.values("pushlane_pushes_total", "outcome", channel=channel))
    assert outcomes == {"delivered": by_status[200], "failed": by_status[503], "rejected": by_status[400]}
    sizes: Counter[float] = Counter(push.count for push in pushes)
    for bound in PUSH_MESSAGES:
        buckets = found.values("pushlane_push_messages_bucket", "channel", le=str(bound))
        assert sum(buckets.values()) == sum(sizes[size] for size in range(1, bound + 1))
    assert total(found, "pushlane_push_messages_sum") == sum(push.count for push in pushes)
    assert total(found, "pushlane_push_duration_seconds_count") == len(pushes)
    served = sum(push.took_s or 0 for push in pushes)
    assert served - len(pushes) / 1000 <= total(found, "pushlane_push_duration_seconds_sum") <= served + len(pushes)


def total(found: Metrics, name: str) -> float:
    """Over all channels."""
    return sum(found.values(name, "channel").values())


def is_settled(found: Metrics) -> bool:
    """Whether it tells of a fleet that has nothing left to do."""
    return total(found, "pushlane_messages_queued") == 0 == found.value("pushlane_decisions_unfed")


def test_any_process_tells_what_the_api_has_counted(stack: Stack, producer: Producer, tmp_path: Path) -> None:
    """Messages, pushes, their sizes and how long they took, after failures and rejections; all four tell the same."""
    ports = [free_port() for _ in range(3)]
    for worker in [stack.worker("-c", "1", "--metrics-port", str(port)) for port in ports]:
        worker.ready()
    stack.api.control(fail={"times": 5}, reject_text="refused")
    for channel in CHANNELS:
        texts = ["refused" if number % 100 == 7 else f"hello {number}" for number in range(MESSAGES)]
        producer.send_many(channel, [RoomMessage(f"{channel}{n % ROOMS}", text) for n, text in enumerate(texts)])
    settings = moderation(tmp_path, policies="blocked_words", relay_channel="support", relay_room="{To_Account}")
    with callback(tmp_path, stack.redis_url, settings) as moderating:
        with httpx.Client() as client:
            for number in range(ALLOWED):
                moderating.ask(client, c2c(number))
            moderating.ask(client, c2c(ALLOWED, "to the casino"))
        stack.wait_for(DELIVERED, 120)
        wait_until(lambda: sum(map(stack.depth, CHANNELS)) == 0, "all to be settled", 60)
        urls = [*(f"http://127.0.0.1:{port}" for port in ports), moderating.url]
        wait_until(lambda: all(map(is_settled, map(scrape, urls))), "texts that were made after the end")
        told = [scrape(url) for url in urls]
    found = told[0]
    assert all(one.without(*OF_A_PROCESS) == found.without(*OF_A_PROCESS) for one in told)
    assert total(found, "pushlane_messages_delivered_total") == stack.record().accepted == DELIVERED
    assert total(found, "pushlane_messages_accepted_total") == DELIVERED + sum(REJECTED.values())
    check_pushes(found, stack)
    assert found.values("pushlane_dead_lettered_total", "channel", reason="rejected") == REJECTED
    assert found.values("pushlane_dead_letters", "channel") == REJECTED
    assert found.values("pushlane_queue_workers", "queue") == {"pushlane": 3, "pushlane.enqueue": 3, "vip": 3}
    for policy, verdict, count in (("chain", "allow", ALLOWED), ("blocked_words", "forbid", 1)):
        made = {"policy": policy, "verdict": verdict}
        assert found.value("pushlane_decisions_total", **made) == count
        assert found.value("pushlane_decision_duration_seconds_count", **made) == count
        assert found.value("pushlane_decision_duration_seconds_bucket", **made, le="+Inf") == count
    assert (found.value("pushlane_decisions_unfed"), found.value("pushlane_redis_up")) == (0, 1)


def test_a_port_that_is_taken_stops_the_start(stack: Stack) -> None:
    """With one line, before the worker does anything."""
    with socket.create_server(("", free_port())) as other:
        port = str(other.getsockname()[1])
        worker = stack.worker("-c", "1", "--metrics-port", port)
        assert worker.process.wait(60) == 2
        *_, last = worker.log.read_text().splitlines()
        assert last == f"pushlane: --metrics-port {port} is not available: Address already in use"
        assert "Traceback" not in worker.log.read_text()


def test_the_command_has_the_option_too(stack: Stack) -> None:
    """It passes it on; and the token holds for a worker's port, too."""
    token = stack.folder / "token"
    token.write_text("s3cret\n")
    port = free_port()
    env = {**stack.environment, "PUSHLANE_METRICS_TOKEN_FILE": str(token)}
    words = [installed("pushlane"), "worker", "-c", "1", "--metrics-port", str(port)]
    with running(words, env=env, cwd=stack.folder, log=stack.folder / "log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: accepts(port), "the port", 60)
        assert httpx.get(f"{url}/metrics", timeout=60).status_code == 401
        assert scrape(url, token="s3cret").value("pushlane_redis_up") == 1


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
