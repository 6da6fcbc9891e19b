"""A real worker in real trouble: a full disk, a slow API, a token that changes, an outage with little to send."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.processes import installed, running
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane_worker.embedded import EmbeddedServer

PREFIX = "pushlane:1:{support}:"


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """One channel, whose gate breaks at once and whose conversations back off for hours."""
    settings = channel_settings(api.url, breaker_after=1, backoff_base_s=86_400, backoff_cap_s=86_400)
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


def _depth(redis: Redis) -> int:
    return int(redis.hget(f"{PREFIX}counters", "depth") or 0)


def test_a_worker_whose_log_can_not_be_written_delivers_all_the_same(
    redis_url: str, redis: Redis, api: FakeApi, producer: Producer, tmp_path: Path
) -> None:
    """A full disk costs log lines, never a message: each arrives once, with fewer coroutines than messages."""
    stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), "PUSHLANE_MAX_IN_FLIGHT": "4"})
    words = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", installed("celery"), "-A", "pushlane_worker", "worker"]
    words += ["-c", "1", "--without-gossip", "--without-mingle", "-n", "full@test", "-l", "INFO"]
    with running(words, env=stack.environment, cwd=tmp_path, log=tmp_path / "log", patient=False):
        wait_until(lambda: redis.exists(f"{PREFIX}channel"), "the channel to be registered", 30)
        producer.send_many("support", [RoomMessage(f"r{n}", "hello #1") for n in range(40)])
        stack.wait_for(40, timeout_s=20)
        wait_until(lambda: _depth(redis) == 0, "all to be settled")
        summary = stack.record()
    assert (summary.accepted, summary.duplicates) == (40, 0)


@pytest.mark.long
@pytest.mark.alone
def test_a_backlog_behind_a_slow_api_neither_floods_celery_nor_leaves_a_process_idle(
    redis_url: str, redis: Redis, producer: Producer, tmp_path: Path
) -> None:
    """With every place in flight for a second, few wake-ups wait in the broker, and pushes never pause for long."""
    with fake_api(latency_s=1) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        try:
            stack.worker("-c", "1").ready()
            for _ in range(10):
                producer.send_many("support", [RoomMessage(f"r{n}", "hello") for n in range(2000)])
            queued, idle = _watch(redis, 8)
        finally:
            stack.close()
    assert queued <= 3, f"{queued} drains waited in the broker"
    assert idle <= 1, f"nothing was in flight for {idle:.2f} s"
    assert _depth(redis) > 0, "the backlog was too small for this test"


def _watch(redis: Redis, duration_s: float) -> tuple[int, float]:
    """The most drains that waited, and the longest time without a lease, from when the slow start is over."""
    wait_until(lambda: redis.zcard(f"{PREFIX}leases") >= 32, "the slow start to be over", 15)
    started = seen = time.monotonic()
    queued, idle = 0, 0.0

    def look() -> bool:
        nonlocal queued, idle, seen
        now = time.monotonic()
        queued = max(queued, int(redis.llen("pushlane")))
        idle = max(idle, now - seen)
        if redis.zcard(f"{PREFIX}leases"):
            seen = now
        return now - started > duration_s

    wait_until(look, "the time to pass", duration_s + 5)
    return queued, idle


def test_a_token_that_is_renewed_in_its_file_is_never_refused(
    redis_url: str, api: FakeApi, producer: Producer, tmp_path: Path
) -> None:
    """Each process takes the new token with its next push: no 401, no probe, no pause."""
    file = tmp_path / "token"
    file.write_text("first")
    api.control(token="first", latency_s=0.02)
    # One place a process: whatever the first has no place for, the second one takes.
    settings = {**channel_settings(api.url, token_file=file), "PUSHLANE_MAX_IN_FLIGHT": "1"}
    del settings["PUSHLANE_CHANNELS__SUPPORT__TOKEN"]
    stack = Stack(redis_url, api, tmp_path, settings)
    try:
        worker = stack.worker("-c", "2").ready()
        sent = 0

        def send() -> None:
            nonlocal sent
            producer.send_many("support", [RoomMessage(f"r{n}", f"hello {sent}") for n in range(10)])
            sent += 10
            stack.wait_for(sent)

        def both_pushed() -> bool:
            send()
            return len(set(re.findall(r"drain\.done .*\bpid=(\d+)", worker.log.read_text()))) == 2

        wait_until(both_pushed, "both processes to have pushed", 20)
        file.write_text("second-token")
        api.control(token="second-token")
        for _ in range(5):
            send()
        assert set(stack.record().by_status) == {200}
    finally:
        stack.close()


@pytest.mark.parametrize("status", [503, 502], ids=["failed", "unknown"])
def test_an_outage_is_over_within_a_probes_wait_though_all_conversations_back_off(
    stack: Stack, redis: Redis, api: FakeApi, producer: Producer, status: int
) -> None:
    """The one conversation there is would wait for hours: it is the probe, at the cost of no attempt, and then goes."""
    stack.worker("-c", "1").ready()
    producer.send("support", RoomMessage("r", "warm up"))
    stack.wait_for(1)
    api.control(down=status)
    receipts = producer.send_many("support", [RoomMessage("r", f"hello #{n + 1}") for n in range(3)])
    wait_until(lambda: stack.record().by_status.get(status, 0) >= 3, "two probes")
    assert redis.hget(f"{PREFIX}gate", "state") == b"broken"
    api.control(down=None)
    back = time.monotonic()
    stack.wait_for(4)
    assert time.monotonic() - back < 1 + 9, "the probe waits for 1 s; its conversation would for hours"
    assert api.texts("r") == ["warm up", "hello #1", "hello #2", "hello #3"]
    wait_until(lambda: _depth(redis) == 0, "it to be settled")
    told = producer.status("support", receipts[0].message_id)
    assert told is not None
    assert (told.attempts, told.maybe_delivered) == (2, status == 502)


def test_what_waits_in_a_process_for_longer_than_it_may_live_is_not_pushed(
    redis_url: str, redis: Redis, api: FakeApi, producer: Producer, tmp_path: Path
) -> None:
    """Claimed in time, behind four slow pushes: it is given back, buried by the next claim, and its room goes on."""
    stack = Stack(redis_url, api, tmp_path, {**channel_settings(api.url), "PUSHLANE_MAX_IN_FLIGHT": "4"})
    try:
        stack.worker("-c", "1").ready()
        redis.hset(f"{PREFIX}gate", "cap", 64)  # the slow start is over
        api.control(latency_s=1.5)
        producer.send_many("support", [RoomMessage(f"r{n}", "hello") for n in range(4)])
        wait_until(lambda: stack.record().in_flight == 4, "four pushes in flight")
        late = producer.send("support", RoomMessage("late", "too late"), expires_in=1.0)
        producer.send("support", RoomMessage("late", "never too late"))
        wait_until(lambda: stack.leases() == 5, "it to be claimed ahead", 1)
        stack.wait_for(5)
        assert api.texts("late") == ["never too late"]
        status = producer.status("support", late.message_id)
        assert status is not None
        assert (status.state, status.reason, status.attempts) == ("dead", "expired", 0)
    finally:
        stack.close()


@pytest.mark.long
@pytest.mark.timeout(90)
def test_what_was_pushed_while_redis_took_no_writes_is_not_pushed_again(api: FakeApi, tmp_path: Path) -> None:
    """However long it refuses them: the drains keep what they have to settle, and each message arrives once."""
    with EmbeddedServer() as server, EmbeddedServer() as broker, Redis.from_url(server.url) as redis:
        settings = {**channel_settings(api.url), "PUSHLANE_BROKER_URL": broker.url}
        stack = Stack(server.url, api, tmp_path, settings | {"PUSHLANE_LEASE_S": "12", "PUSHLANE_PUSH_DEADLINE_S": "5"})
        try:
            worker = stack.worker("-c", "1").ready()
            redis.hset(f"{PREFIX}gate", "cap", 64)  # the slow start is over
            api.control(latency_s=0.3)
            with Producer(server.url) as producer:
                producer.send_many("support", [RoomMessage(f"r{n % 30}", f"hello #{n + 1}") for n in range(3000)])
            wait_until(lambda: stack.record().in_flight > 0, "pushes in flight")
            redis.config_set("min-replicas-to-write", 1)
            refused = time.monotonic()
            # Ten tries of a turn took 7 s, and leases end after 12.
            wait_until(lambda: time.monotonic() - refused > 14, "the time to pass", 20)
            redis.config_set("min-replicas-to-write", 0)
            wait_until(lambda: _depth(redis) == 0, "all to be settled", 40)
            summary = stack.record()
        finally:
            stack.close()
        assert (summary.accepted, summary.duplicates) == (3000, 0)
        assert "drain.unsettled" not in worker.log.read_text()
