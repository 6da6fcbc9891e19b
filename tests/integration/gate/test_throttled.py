"""A chat API that answers 429: all workers wait as long as it asks, other channels go on, many at once count once."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

import pytest
from redis import Redis
from support.channels import channel_with
from support.producers import bytes_of
from support.queue import Queue
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.keys import CHANNELS
from pushlane.outcome import Outcome
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.fake_api.reports import PushEntry
from pushlane_worker.queue.outcome import Answer
from pushlane_worker.queue.retry import RetryPolicy, next_step
from pushlane_worker.queue.turns import Settlement

PREFIX = "pushlane:1:{support}:"
ASKED_S = 7
ON_ITS_WAY_S = 0.1
"""What an API may still get after its 429: pushes that had left before a worker could know."""
WAKE_S = 2
"""A sweep a second looks whether a channel may go on."""
SALES = 10
"""Pushes a second of the other channel."""
IN_FLIGHT = 64


class Throttled:
    """What the fake API saw of a pause."""

    def __init__(self, pushes: list[PushEntry]) -> None:
        self.refused = [push for push in pushes if push.status == 429]
        first = min(self.refused, key=_answered_s)
        self.began_s = _answered_s(first)
        self.after_s = sorted(push.at_s - self.began_s for push in pushes if push.at_s > self.began_s)


def _answered_s(push: PushEntry) -> float:
    assert push.took_s is not None
    return push.at_s + push.took_s


def _send(producer: Producer, count: int, name: str, channel: str = "support") -> None:
    producer.send_many(channel, [RoomMessage(f"{name} {n}", "hello") for n in range(count)])


def _in_seconds() -> str:
    return str(ASKED_S)


def _as_date() -> str:
    """A date has whole seconds: this one is 7 to 8 s ahead."""
    return formatdate(int(time.time()) + ASKED_S + 1, usegmt=True)


@pytest.fixture
def fleet(
    redis_url: str, redis: Redis, api: FakeApi, tmp_path: Path, producer: Producer
) -> Iterator[Callable[..., Stack]]:
    """Starts workers, and lets them come to full speed."""
    with ExitStack() as stop:

        def start(workers: int, **settings: str) -> Stack:
            stack = Stack(redis_url, api, tmp_path, channel_settings(api.url) | settings)
            stop.callback(stack.close)
            for worker in [stack.worker("-c", "1") for _ in range(workers)]:
                worker.ready()
            wait_until(lambda: redis.sismember(CHANNELS, "support"), "the channel to be registered")
            api.control(latency_s=0.02)
            _send(producer, 500, "warm")
            stack.wait_for(500)
            wait_until(lambda: stack.depth() == 0, "the warm-up to be settled")
            return stack

        yield start


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("asked", [_in_seconds, _as_date], ids=["seconds", "HTTP date"])
def test_a_whole_fleet_waits_as_long_as_it_is_asked_and_other_channels_do_not(
    fleet: Callable[..., Stack], api: FakeApi, redis: Redis, producer: Producer, asked: Callable[[], str]
) -> None:
    """Two workers: no push for 7 s, or until the date, after a 429; a second channel goes on at its rate."""
    with fake_api() as sales:
        second = channel_settings(sales.url, "sales", rate_limit=f"{SALES}/1s")
        stack = fleet(2, **second)
        wait_until(lambda: redis.sismember(CHANNELS, "sales"), "the other channel to be registered")
        _send(producer, 20 * SALES, "sale", "sales")
        api.control(latency_s=0.3)
        for wave in range(4):
            _send(producer, 1000, f"wave {wave}")
        wait_until(lambda: api.record().in_flight >= IN_FLIGHT, "both workers at work")
        header = asked()
        api.control(throttle=header)
        wait_until(lambda: api.record().by_status.get(429, 0), "a 429")
        wait_until(lambda: stack.leases() == 0, "all to be settled")
        answered, throttles = api.record().pushes, redis.hget(f"{PREFIX}gate", "throttles")
        api.control(throttle=None, latency_s=0)
        wait_until(lambda: api.record().pushes > answered, "the pause to be over", 15)
        pushes = api.pushes()
        pause = Throttled(pushes)
        sold = sum(0 <= push.at_s - pause.began_s < ASKED_S for push in sales.pushes())
    until_s = pause.began_s + ASKED_S
    if header != str(ASKED_S):
        until_s = parsedate_to_datetime(header).timestamp() - pushes[0].at_ms / 1000 + pushes[0].at_s
    late = min(push.at_s for push in pushes if push.at_s > pause.began_s + ON_ITS_WAY_S) - until_s
    assert 0 <= late <= WAKE_S, f"the next push came {late:.2f} s after the end of the pause"
    assert throttles == b"1", f"{len(pause.refused)} refusals at once counted {throttles!r} times"
    assert sold >= SALES * (ASKED_S - 1), f"{sold} pushes on the other channel in {ASKED_S} s"


@pytest.mark.long
@pytest.mark.alone
def test_what_waits_for_a_place_is_not_pushed_through_a_closed_gate(
    fleet: Callable[..., Stack], api: FakeApi, producer: Producer
) -> None:
    """Two workers full of hanging pushes, the account's limit: of what they claimed ahead, nothing goes for 7 s."""
    stack = fleet(2, PUSHLANE_MAX_IN_FLIGHT="8")
    api.control(latency_s=2, fail={"status": 429, "code": 6451010, "retry_after": str(ASKED_S), "times": 1})
    _send(producer, 1, "refused")
    wait_until(lambda: api.record().in_flight == 1, "the push that will be refused")
    api.control(latency_s=0, stall={"seconds": 4, "accept": True})
    _send(producer, 100, "hangs")
    wait_until(lambda: api.record().in_flight == 16 and stack.leases() == 20, "full workers with claims ahead")
    api.control(stall=None)
    assert 429 not in api.record().by_status, "the refusal came too early for this test"
    wait_until(lambda: stack.leases() == 0, "all to be settled")
    answered = api.record().accepted
    wait_until(lambda: api.record().accepted > answered, "the pause to be over", 15)
    pause = Throttled(api.pushes())
    early = [round(after, 2) for after in pause.after_s if ON_ITS_WAY_S < after < ASKED_S]
    assert not early, f"{len(early)} pushes after the 429, at {early} s"


@pytest.mark.alone
def test_64_refusals_at_once_are_one_reason_to_wait(
    fleet: Callable[..., Stack], api: FakeApi, redis: Redis, producer: Producer
) -> None:
    """Without Retry-After 64 pushes that are throttled together close the gate for 1 s, not for 60."""
    stack = fleet(1)
    api.control(throttle="", latency_s=1)
    _send(producer, IN_FLIGHT, "refused")
    wait_until(lambda: api.record().in_flight == IN_FLIGHT, "64 pushes in flight")
    api.control(throttle=None, latency_s=0)
    wait_until(lambda: redis.hget(f"{PREFIX}gate", "state") == b"throttled", "the gate to close")
    until, since, throttles = (
        int(bytes_of(value)) for value in redis.hmget(f"{PREFIX}gate", "until", "since", "throttles")
    )
    assert (until - since, throttles) == (1000, 1)
    stack.wait_for(500 + IN_FLIGHT)
    pause = Throttled(api.pushes())
    assert len(pause.refused) == IN_FLIGHT
    assert 1 <= pause.after_s[0] <= 1 + WAKE_S, f"the next push came {pause.after_s[0]:.2f} s after the first 429"


POLICY = RetryPolicy(40, 86_400, 1, 300, 3600, "retry", 10)
SCHEDULE_MS = [1000, 2000, 4000]
KIND = Cinnox(channel_with(), lambda: "token")


def _throttle(queue: Queue, header: str | None) -> int:
    """One push is answered 429; how long the gate is closed, in ms."""
    (claim,) = queue.turn(free=1).claims
    headers = {} if header is None else {"retry-after": header}
    result = KIND.read(Answer(429, headers, b'{"code":6451010,"message":"Too many requests"}'))
    assert result.outcome is Outcome.THROTTLED
    queue.turn(Settlement(claim, result, next_step(result, claim.history(), POLICY, 0.5)), free=-1)
    gate = queue.gate()
    assert gate["state"] == "throttled"
    wait = int(gate["until"]) - queue.now
    queue.now += wait - 1
    assert queue.turn().claims == ()
    queue.now += 1
    return wait


@pytest.mark.parametrize(
    ("header", "waits_ms"),
    [
        (None, SCHEDULE_MS),
        ("", SCHEDULE_MS),
        ("0", SCHEDULE_MS),
        ("-5", SCHEDULE_MS),
        ("soon", SCHEDULE_MS),
        ("Thu, 01 Jan 1970 00:00:00 GMT", SCHEDULE_MS),
        ("7", [7000] * 3),
        # RFC 9110 knows whole seconds alone; what a lax API means by a fraction is plain.
        ("1.5", [1500] * 3),
        ("99999999999", [3_600_000] * 3),
    ],
)
def test_the_gate_is_closed_as_long_as_the_header_says_if_it_says_anything(
    redis: Redis, header: str | None, waits_ms: list[int]
) -> None:
    """From the header's text to the gate: what means nothing is 1 s and doubles, the rest is obeyed up to the cap."""
    queue = Queue(redis, retry_after_cap_ms=3_600_000)
    queue.enqueue("a", "m")
    assert [_throttle(queue, header) for _ in waits_ms] == waits_ms
    assert (queue.header("m").state, queue.header("m").attempts) == ("queued", 0)


def test_a_retry_after_beyond_the_cap_is_cut_and_the_log_says_so(
    fleet: Callable[..., Stack], api: FakeApi, tmp_path: Path, producer: Producer
) -> None:
    """An API that asks for 3,000 years is asked again after RETRY_AFTER_CAP_S, and an operator can see why."""
    stack = fleet(1, PUSHLANE_CHANNELS__SUPPORT__RETRY_AFTER_CAP_S="2")
    api.control(fail={"status": 429, "retry_after": "99999999999", "times": 1})
    _send(producer, 1, "cut")
    stack.wait_for(501)
    assert Throttled(api.pushes()).after_s[0] >= 2
    log = tmp_path / "worker0.log"
    (line,) = wait_until(lambda: re.findall(".*outcome=throttled.*", log.read_text()), "the line of the push")
    assert "retry_after_s=99999999999" in line
    assert "obeyed_s=2" in line
