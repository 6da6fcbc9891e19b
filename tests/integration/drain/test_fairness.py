"""No room and no channel waits for another one that has much to send, or whose API is in trouble."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.keys import channel_prefix

pytestmark = pytest.mark.alone
BIG = 100_000
BUDGET = "10/1s"
SMALL_ROOMS = 15

BURSTS, BURST, APART_S = 30, 10, 0.1
DELAY_S = 1.0
"""What a message may wait longer for another channel's trouble: a busy machine's noise. A drain's slice is 2 s."""
BACKLOG = 20_000
SLOWER = 1.4


def _pass(duration_s: float) -> None:
    started = time.monotonic()
    wait_until(lambda: time.monotonic() - started > duration_s, "the time to pass", duration_s + 5)


@pytest.mark.timeout(120)
def test_a_room_with_a_long_backlog_delays_the_first_message_of_another_by_one_push(
    redis_url: str, tmp_path: Path
) -> None:
    """With one place, a spent rate budget and 100,000 messages of one room, a new room waits for at most one push."""
    with fake_api(latency_s=0.03, rate_limit=BUDGET) as api, Producer(redis_url) as producer:
        settings = channel_settings(api.url, rate_limit=BUDGET) | {"PUSHLANE_MAX_IN_FLIGHT": "1"}
        stack = Stack(redis_url, api, tmp_path, settings)
        try:
            stack.worker("-c", "1").ready()
            for first in range(0, BIG, 10_000):
                numbers = range(first, first + 10_000)
                producer.send_many("support", [RoomMessage("big", f"hello #{n + 1}") for n in numbers])
            wait_until(lambda: stack.record().pushes >= 20, "the budget to be spent")
            accepted = {}
            for room in (f"small{n}" for n in range(SMALL_ROOMS)):
                producer.send("support", RoomMessage(room, "hello"))
                accepted[room] = time.monotonic()
                wait_until(lambda: room in api.rooms(), "the small room's message", 5)  # noqa: B023 # called here
            pushes = api.pushes()
            assert stack.depth() > BIG / 2, "the backlog was too small for this test"
        finally:
            stack.close()
    assert {push.status for push in pushes} <= {0, 200}
    pushed = {push.room: push.at_s for push in pushes if push.room in accepted}
    big = [push.at_s for push in pushes if push.room == "big"]
    waited_for = {room: sum(at < start < pushed[room] for start in big) for room, at in accepted.items()}
    assert max(waited_for.values()) <= 1, waited_for


@dataclass
class Neighbours:
    """One pool process and two channels, each with an API of its own: ``well``, and ``sick`` that gets into trouble."""

    stack: Stack
    sick: FakeApi
    redis: Redis
    _names: Iterator[str]

    def throttled(self) -> None:
        """Each push is answered 429, come back in a second; the backlog waits."""
        self.sick.control(throttle="1")
        self._fill()
        wait_until(lambda: self.sick.record().pushes > 0, "a throttled push")

    def over_its_rate(self) -> None:
        """Its own rate budget is always spent."""
        self._fill()
        wait_until(lambda: self.sick.record().pushes > 10, "the budget to be spent")

    def paused(self) -> None:
        """An operator paused it."""
        self.redis.hset(f"{channel_prefix('sick')}gate", "paused", 1)
        self._fill()

    def hanging_from_the_start(self) -> None:
        """Its pushes hang until their deadline, since the first."""
        self.sick.control(stall={"seconds": 60})
        self._fill()
        wait_until(lambda: self.sick.record().in_flight >= 4, "hanging pushes")

    def hanging_in_full_swing(self) -> None:
        """Its pushes hang until their deadline, after it went so well that they have all the places they may."""
        self.sick.control(latency_s=0.05)
        for _ in range(5):
            self._fill()
        wait_until(lambda: self.sick.record().in_flight >= 50, "the slow start to be over")
        self.sick.control(stall={"seconds": 60})
        _pass(0.5)

    def delay_s(self) -> float:
        """The longest that a message of the other channel took from its acceptance to its push, at 100 a second."""
        accepted: dict[str, float] = {}
        with Producer(self.stack.redis_url) as producer:
            for _ in range(BURSTS):
                rooms = list(itertools.islice(self._names, BURST))
                producer.send_many("well", [RoomMessage(room, "hello") for room in rooms])
                accepted |= dict.fromkeys(rooms, time.monotonic())
                _pass(APART_S)
        wait_until(lambda: accepted.keys() <= self.stack.api.rooms().keys(), "all to arrive", 30)
        pushed = {push.room or "": push.at_s for push in self.stack.api.pushes()}
        return max(pushed[room] - at for room, at in accepted.items())

    def backlog_s(self) -> float:
        """How long a backlog of the other channel takes."""
        before, rooms = self.stack.record().accepted, list(itertools.islice(self._names, 500))
        started = time.monotonic()
        with Producer(self.stack.redis_url) as producer:
            producer.send_many("well", [RoomMessage(room, "hello") for _ in range(BACKLOG // 500) for room in rooms])
        self.stack.wait_for(before + BACKLOG)
        return time.monotonic() - started

    def _fill(self) -> None:
        with Producer(self.stack.redis_url) as producer:
            producer.send_many("sick", [RoomMessage(f"r{n % 500}", f"hello #{n}") for n in range(5000)])


@pytest.fixture
def neighbours(request: pytest.FixtureRequest, redis_url: str, redis: Redis, tmp_path: Path) -> Iterator[Neighbours]:
    """Both channels well, and a worker of one process that has pushed for the one."""
    with fake_api(latency_s=0.02) as well, fake_api() as sick:
        rate_limit = BUDGET if request.node.callspec.params["trouble"] is Neighbours.over_its_rate else "none"
        settings = channel_settings(well.url, "well") | channel_settings(sick.url, "sick", rate_limit=rate_limit)
        stack = Stack(redis_url, well, tmp_path, settings)
        stack.worker("-c", "1").ready()
        neighbours = Neighbours(stack, sick, redis, (f"w{n}" for n in itertools.count()))
        neighbours.backlog_s()
        yield neighbours
        stack.close()


Trouble = Callable[[Neighbours], None]
TROUBLES: list[Trouble] = [
    Neighbours.throttled,
    Neighbours.over_its_rate,
    Neighbours.paused,
    Neighbours.hanging_from_the_start,
    Neighbours.hanging_in_full_swing,
]


def _long_but_for_one(trouble: Trouble) -> Any:  # noqa: ANN401 # pytest does not name its type
    short = trouble is Neighbours.throttled
    return pytest.param(trouble, id=trouble.__name__, marks=[] if short else pytest.mark.long)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("trouble", [_long_but_for_one(trouble) for trouble in TROUBLES])
def test_a_channel_in_trouble_delays_no_message_of_another(neighbours: Neighbours, trouble: Trouble) -> None:
    """With one pool process for both, a message of the other channel is pushed as soon as without the trouble."""
    without = neighbours.delay_s()
    trouble(neighbours)
    delay = neighbours.delay_s()
    assert delay <= without + DELAY_S, f"{delay:.2f} s, {without:.2f} s without"


@pytest.mark.long
@pytest.mark.timeout(90)
@pytest.mark.parametrize("trouble", TROUBLES[:-1], ids=lambda trouble: trouble.__name__)
def test_a_channel_in_trouble_leaves_another_its_pace(neighbours: Neighbours, trouble: Trouble) -> None:
    """With one pool process for both, a backlog of the other channel takes no longer than without the trouble."""
    neighbours.stack.api.control(latency_s=0.1)  # so that places are scarce, and not this machine's time
    without = min(neighbours.backlog_s() for _ in range(2))
    trouble(neighbours)
    backlog = min(neighbours.backlog_s() for _ in range(2))
    assert backlog <= SLOWER * without, f"{backlog:.2f} s, {without:.2f} s without"
