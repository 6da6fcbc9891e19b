"""A wrong token or app ID: the channel stops at once, nothing is lost, and it goes on as soon as it is put right."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis
from support.command import pushlane
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, Receipt, RoomMessage
from pushlane_worker.fake_api.control import DEMO_APP_ID, DEMO_TOKEN

PREFIX = "pushlane:1:{support}:"
IN_FLIGHT = 64
OTHERS = 2
"""Rooms that are asked at once after the first refusal, to find out whose fault it is."""
WARM_UP = 500
MORE = 100
QUIET_MS = 3000
STALL_S = 8
"""A busy machine's time to get 63 pushes on their way and one more refused."""
BACK_WITHIN_S = 15
"""Half of the 30 s after which the next probe would come anyhow; a quiet machine needs 1."""
REFUSALS = {401: {"token": "another"}, 404: {"app_id": "another"}}
refused_with = pytest.mark.parametrize("status", REFUSALS)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The file that holds the channel's token."""
    file = tmp_path / "token"
    file.write_text(DEMO_TOKEN)
    return file


@pytest.fixture
def stack(
    redis_url: str, redis: Redis, api: FakeApi, token: Path, tmp_path: Path, producer: Producer
) -> Iterator[Stack]:
    """A worker at full speed: 64 pushes in flight, and more if there were the slots."""
    settings = channel_settings(api.url, token_file=token)
    del settings["PUSHLANE_CHANNELS__SUPPORT__TOKEN"]
    stack = Stack(redis_url, api, tmp_path, settings)
    stack.worker("-c", "1").ready()
    wait_until(lambda: redis.exists(f"{PREFIX}channel"), "the channel to be registered")
    api.control(latency_s=0.05)
    _send(producer, WARM_UP, "warm")
    stack.wait_for(WARM_UP)
    wait_until(lambda: stack.depth() == 0, "the warm-up to be settled")
    yield stack
    stack.close()


def _send(producer: Producer, count: int, name: str) -> list[Receipt]:
    return producer.send_many("support", [RoomMessage(f"{name} {n}", "hello #1") for n in range(count)])


def _sweeps(redis: Redis, span_ms: int) -> None:
    """Waits until the worker has looked after the channel for this long."""
    at = int(redis.hget(f"{PREFIX}sweep", "at") or 0)
    wait_until(lambda: int(redis.hget(f"{PREFIX}sweep", "at") or 0) >= at + span_ms, "some sweeps")


def _assert_unharmed(redis: Redis, producer: Producer, receipts: Sequence[Receipt], state: str) -> None:
    """No attempt is spent but by the push that delivers, nothing is dead."""
    statuses = [producer.status("support", receipt.message_id) for receipt in receipts]
    assert {(status.state, status.attempts) for status in statuses if status} == {(state, state == "delivered")}
    assert redis.zcard(f"{PREFIX}dead") == 0


def _break(stack: Stack, redis: Redis, producer: Producer, status: int) -> list[Receipt]:
    """64 pushes in flight are all refused, and what is sent after that stays where it is, but for two rooms."""
    stack.api.control(latency_s=0.5, **REFUSALS[status])
    receipts = _send(producer, IN_FLIGHT, "early")
    wait_until(lambda: stack.record().by_status.get(status, 0) == IN_FLIGHT, "64 refusals")
    wait_until(lambda: stack.leases() == 0, "them to be settled")
    receipts += _send(producer, MORE, "late")
    _sweeps(redis, QUIET_MS)
    assert stack.record().pushes == WARM_UP + IN_FLIGHT + OTHERS, "a push went out that was no probe"
    reason = str(redis.hget(f"{PREFIX}gate", "reason"))
    assert f"misconfigured: HTTP {status}" in reason
    _assert_unharmed(redis, producer, receipts, "queued")
    stack.api.control(latency_s=0)
    return receipts


@pytest.mark.parametrize("status", [401, pytest.param(404, marks=pytest.mark.long)])
def test_no_push_starts_after_the_first_wrong_answer(
    stack: Stack, redis: Redis, producer: Producer, status: int
) -> None:
    """63 pushes hang when one is refused: of what waits, two other rooms are probes, one after the other."""
    stack.api.control(latency_s=0, stall={"seconds": STALL_S, "accept": True})
    _send(producer, IN_FLIGHT - 1, "hangs")
    wait_until(lambda: stack.record().in_flight == IN_FLIGHT - 1, "63 pushes in flight")
    stack.api.control(stall=None, **REFUSALS[status])
    receipts = _send(producer, MORE, "refused")
    wait_until(lambda: stack.record().by_status.get(status, 0), "a refusal")
    assert stack.record().in_flight == IN_FLIGHT - 1, "the refusal came too late for this test"
    wait_until(lambda: stack.record().in_flight == 0 and stack.leases() == 0, "all to be settled")
    _sweeps(redis, QUIET_MS)
    refused = [push for push in stack.api.pushes() if push.status == status]
    assert len(refused) == 1 + OTHERS, f"{len(refused) - 1} pushes started after the first answer with {status}"
    assert all(one.at_s + (one.took_s or 0) <= next_one.at_s for one, next_one in pairwise(refused)), "at a time"
    _assert_unharmed(redis, producer, receipts, "queued")


def test_a_wrong_token_costs_nothing_and_the_right_one_is_tried_at_once(
    stack: Stack, redis: Redis, producer: Producer, token: Path
) -> None:
    """401: no attempt, no dead letter; 5 s after the file holds the right token, everything is delivered."""
    receipts = _break(stack, redis, producer, 401)
    token.write_text("another")
    put_right = time.monotonic()
    stack.wait_for(WARM_UP + len(receipts))
    took = time.monotonic() - put_right
    assert took <= BACK_WITHIN_S, f"delivered {took:.1f} s after the token was put right"
    wait_until(lambda: stack.depth() == 0, "all to be settled")
    _assert_unharmed(redis, producer, receipts, "delivered")
    assert stack.record().by_status == {200: WARM_UP + len(receipts), 401: IN_FLIGHT + OTHERS}
    assert stack.record().duplicates == 0


@pytest.mark.long
def test_a_wrong_app_id_costs_nothing_and_registering_the_channel_probes(
    stack: Stack, redis: Redis, producer: Producer
) -> None:
    """404: each registration sends one probe and no more, until one is delivered; then everything goes within 2 s."""
    receipts = _break(stack, redis, producer, 404)
    for probes in (1, 2):
        pushlane("channel", "register", "support", redis_url=stack.redis_url, settings=stack.settings).ok()
        wait_until(lambda probes=probes: stack.record().by_status[404] == IN_FLIGHT + OTHERS + probes, "a probe")  # type: ignore[misc] # mypy does not infer a lambda's default
        _sweeps(redis, QUIET_MS)
        assert stack.record().pushes == WARM_UP + IN_FLIGHT + OTHERS + probes, "a push went out that was no probe"
    _assert_unharmed(redis, producer, receipts, "queued")

    stack.api.control(app_id=DEMO_APP_ID)
    pushlane("channel", "register", "support", redis_url=stack.redis_url, settings=stack.settings).ok()
    stack.wait_for(WARM_UP + 1)
    opened = time.monotonic()
    stack.wait_for(WARM_UP + len(receipts))
    took = time.monotonic() - opened
    assert took <= BACK_WITHIN_S, f"delivered {took:.1f} s after the probe"
    wait_until(lambda: stack.depth() == 0, "all to be settled")
    _assert_unharmed(redis, producer, receipts, "delivered")
    assert stack.record().duplicates == 0
