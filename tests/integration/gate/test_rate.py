"""The rate limit: never more than N pushes in any window, wherever in a push the API looks at its clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio as redis_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.queue import Queue, settle, unsent

from pushlane.outcome import Outcome
from pushlane_worker.queue.store import Store
from pushlane_worker.queue.turns import Settlement, Turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from pushlane_worker.queue.turns import Claim

WINDOW_MS = 60_000
HELD_MS = WINDOW_MS + 1
"""How long a push holds its place after it was settled: the clock is cut to whole ms."""
LIMIT = 3
PUSH_MS = 200
ENDS = (Outcome.DELIVERED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.REJECTED, Outcome.UNSENT)


def _limited(redis: Redis, limit: int = LIMIT, conversations: int = 30) -> Queue:
    """A channel with a rate limit whose gate is wide open, and a message in each of many rooms."""
    queue = Queue(redis, rate_limit=limit, rate_window_ms=WINDOW_MS, breaker_after=1_000_000)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": 1_000_000})
    for n in range(conversations):
        queue.enqueue(f"r{n}", f"m{n}")
    return queue


def _most_in_a_window(looks: Sequence[int]) -> int:
    return max((sum(start <= look < start + WINDOW_MS for look in looks) for start in looks), default=0)


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(1, 4)),
        st.tuples(st.just("settle"), st.tuples(st.integers(0, 9), st.sampled_from(ENDS), st.floats(0, 1))),
        st.tuples(st.just("wait"), st.sampled_from([1, 999, 20_000, 59_999, 60_000])),
    ),
    max_size=40,
)


@settings(
    max_examples=60,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=_ACTIONS)
def test_no_window_ever_holds_more_than_the_limit(redis: Redis, actions: list[tuple[str, object]]) -> None:
    """Whatever the order of claims, answers and waits, and wherever between claim and settle the API counts."""
    redis.flushall()
    queue = _limited(redis)
    flying: list[tuple[Claim, int]] = []
    looks: list[int] = []
    for action, value in actions:
        match action, value:
            case "wait", int(span):
                queue.now += span
            case "claim", int(free):
                flying += [(claim, queue.now) for claim in queue.turn(free=free).claims]
            case "settle", (int(which), Outcome() as outcome, float(share)) if flying:
                claim, claimed = flying.pop(which % len(flying))
                if outcome is not Outcome.UNSENT:
                    looks.append(claimed + round(share * (queue.now - claimed)))
                queue.turn(settle(claim, outcome, dead="0", reached=outcome is not Outcome.UNSENT), free=-1)
        assert _most_in_a_window([*looks, *(claimed for _, claimed in flying)]) <= LIMIT
        assert _most_in_a_window([*looks, *(queue.now for _ in flying)]) <= LIMIT


def test_a_push_holds_its_place_until_a_window_after_its_end(redis: Redis) -> None:
    """The API may have counted it at any time up to its answer."""
    queue = _limited(redis, limit=1)
    (claim,) = queue.turn().claims
    queue.now += WINDOW_MS
    assert queue.turn().claims == ()
    assert queue.turn(settle(claim)).claims == ()
    queue.now += HELD_MS - 1
    assert queue.turn().claims == ()
    queue.now += 1
    assert len(queue.turn().claims) == 1


def test_a_push_that_was_not_sent_gives_its_place_back(redis: Redis) -> None:
    """Unsent, or failed before the API saw it."""
    queue = _limited(redis)
    claims = queue.turn().claims
    assert len(claims) == LIMIT
    failed = settle(claims[1], Outcome.FAILED, wait_ms=5, dead="0", reached=False)
    assert len(queue.turn(unsent(claims[0]), failed, settle(claims[2])).claims) == 2
    assert redis.llen(queue.prefix + "rate") == 1


def test_the_wait_ends_when_the_next_place_is_free(redis: Redis) -> None:
    """-1 while only an outcome can tell; else the milliseconds to the place, and 0 when there is one."""
    queue = _limited(redis)
    first, second, third = queue.turn().claims
    assert queue.turn().wait_ms == -1
    assert queue.turn(settle(first), free=-1).wait_ms == HELD_MS
    queue.now += 1000
    assert queue.turn(settle(second), settle(third), free=-1).wait_ms == HELD_MS - 1000
    queue.now += HELD_MS - 1000
    assert queue.turn(free=-1).wait_ms == 0
    turn = queue.turn()
    assert (len(turn.claims), turn.wait_ms) == (1, 1000)


def test_a_lower_limit_holds_at_once(redis: Redis) -> None:
    """What was used under the old one counts against the new one."""
    queue = _limited(redis, limit=4)
    queue.turn(*(settle(claim) for claim in queue.turn().claims), free=-1)
    queue.register()
    redis.hset(queue.prefix + "channel", "rate_limit", 2)
    turn = queue.turn()
    assert (turn.claims, turn.wait_ms) == ((), HELD_MS)
    queue.now += HELD_MS
    assert len(queue.turn().claims) == 2


@pytest.mark.parametrize("back_ms", [500, 2000, 3_600_000], ids=["into the pushes", "behind them", "an hour"])
@pytest.mark.parametrize("met_by", ["a turn", "a sweep"])
def test_a_clock_that_steps_back_frees_no_place_and_closes_the_window_no_longer_than_its_length(
    redis: Redis, back_ms: int, met_by: str
) -> None:
    """The pushes have been counted by the API, whatever the clock says: a failover must not spend the budget twice."""
    queue = _limited(redis)
    for claim in queue.turn().claims:
        queue.turn(settle(claim), free=-1)
        queue.now += 400
    queue.now -= back_ms
    if met_by == "a sweep":
        queue.sweep()
    turn = queue.turn()
    assert (turn.claims, 0 < turn.wait_ms <= HELD_MS) == ((), True)
    queue.now += HELD_MS - 1
    early = len(queue.turn(free=LIMIT).claims)
    assert early < LIMIT
    queue.now += 1
    assert len(queue.turn(free=LIMIT).claims) == LIMIT - early


def test_a_clock_that_steps_back_is_met_once(redis: Redis) -> None:
    """A second turn puts nothing off again, and what ends after the step holds its place as ever."""
    queue = _limited(redis)
    first, *others = queue.turn().claims
    queue.turn(settle(first), free=-1)
    queue.now -= 30_000
    queue.turn(settle(others[0]), free=-1)
    queue.now += 10_000
    queue.turn(settle(others[1]), free=-1)
    queue.now += HELD_MS - 10_000
    assert len(queue.turn(free=LIMIT).claims) == 2
    queue.now += 10_000
    assert len(queue.turn(free=LIMIT).claims) == 1


DAY_MS = 86_400_000


def _spent(redis: Redis) -> Queue:
    """The whole budget is used, the last of it just now; and a process knows how late it can be at most."""
    queue = _limited(redis)
    queue.turn(*(settle(claim) for claim in queue.turn().claims), free=-1)
    queue.latest = queue.rate_clock + 1
    return queue


@pytest.mark.parametrize("ahead_ms", [2000, DAY_MS], ids=["two seconds", "a day"])
@pytest.mark.parametrize("met_by", ["a turn", "a sweep"])
@pytest.mark.parametrize("back", [False, True], ids=["for good", "and back"])
def test_a_clock_that_steps_ahead_frees_no_place(redis: Redis, ahead_ms: int, met_by: str, back: bool) -> None:  # noqa: FBT001 # pytest's table
    """Whoever knows by its own clock that less time has passed takes the step out, for all others, too."""
    queue = _spent(redis)
    queue.now += ahead_ms
    if met_by == "a sweep":
        queue.sweep()
    assert queue.turn().claims == ()
    queue.now -= back * ahead_ms
    queue.latest = ""  # a process that has just started
    assert queue.turn(drain="new").claims == ()
    queue.now += HELD_MS
    assert len(queue.turn(drain="new").claims) == LIMIT


def test_a_step_ahead_is_taken_out_once_though_many_processes_meet_it(redis: Redis) -> None:
    """The window is closed for no longer than without it."""
    queue = _spent(redis)
    queue.now += 5000
    for name in ("one", "two", "three"):
        assert queue.turn(drain=name).claims == ()
    passed = HELD_MS - (queue.rate_clock - (queue.now - 5000))
    queue.now += passed
    queue.latest = int(queue.latest) + passed
    assert len(queue.turn().claims) == LIMIT


def test_a_channel_without_a_limit_keeps_no_clock_of_its_own(redis: Redis) -> None:
    """Nothing is written for it."""
    queue = Queue(redis)
    queue.enqueue("a", "a1")
    queue.latest, queue.now = queue.now, queue.now + 5000
    assert len(queue.turn().claims) == 1
    assert queue.rate_clock == queue.now


STEPS = ((0.4, 2000), (0.8, -2000), (1.2, 3_600_000))
"""After this many seconds Redis's clock steps by this many ms."""


async def _push_as_fast_as_allowed(url: str, seconds: float) -> list[float]:
    """A drain of its own against a server whose clock steps; when each push was made, by a clock that does not."""
    client: Any = redis_asyncio.Redis.from_url(url)
    began, evalsha = time.monotonic(), client.evalsha
    pushes: list[float] = []

    async def stepping(sha: str, keys: int, prefix: str, bell: str, _now: str, *args: object) -> object:
        passed = time.monotonic() - began
        server_ms = round(time.time() * 1000) + sum(step for after, step in STEPS if passed >= after)
        return await evalsha(sha, keys, prefix, bell, server_ms, *args)

    client.evalsha = stepping
    turns = Turns(Store(client, {}), "support", 30.0)
    done: list[Settlement] = []
    while time.monotonic() - began < seconds:
        turn = await turns.take(64, 0, done)
        pushes += [time.monotonic()] * len(turn.claims)
        done = [settle(claim) for claim in turn.claims]
    await client.aclose()
    return pushes


@pytest.mark.single_server("it steps its clock")
def test_never_more_than_the_limit_whatever_the_servers_clock_does(redis_url: str, redis: Redis) -> None:
    """Two seconds ahead and back, and an hour ahead: the API counts no more than the limit in any window."""
    queue = Queue(redis, rate_limit=20, rate_window_ms=2000, batch_limit=1)
    redis.hset(queue.prefix + "gate", mapping={"state": "open", "cap": 64})
    queue.now = round(time.time() * 1000)
    for n in range(200):
        queue.enqueue(f"r{n}", f"m{n}")
    pushes = asyncio.run(_push_as_fast_as_allowed(redis_url, 1.9))
    assert len(pushes) == 20, f"{len(pushes)} pushes in 1.9 s"


def test_a_spent_budget_is_used_to_the_full(redis: Redis) -> None:
    """In a simulated hour with more work than budget at least 95 % of the allowed pushes go out."""
    limit, windows = 20, 10
    queue = _limited(redis, limit=limit, conversations=limit * windows + 50)
    end = queue.now + windows * WINDOW_MS
    flying: list[tuple[int, Claim]] = []
    pushed = 0
    while queue.now < end:
        over = [claim for ends, claim in flying if ends <= queue.now]
        flying = [(ends, claim) for ends, claim in flying if ends > queue.now]
        turn = queue.turn(*(settle(claim) for claim in over))
        pushed += len(turn.claims)
        flying += [(queue.now + PUSH_MS, claim) for claim in turn.claims]
        waits = [ends - queue.now for ends, _ in flying] + [turn.wait_ms] * (turn.wait_ms > 0)
        queue.now += min(waits)
    assert 0.95 * limit * windows <= pushed <= limit * windows
