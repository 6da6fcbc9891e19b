"""One bad message among ten: it dies alone, its neighbours are delivered in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from support.channels import register
from support.queue import EPOCH_MS, Queue, settle
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.message_json import Form
from pushlane.outcome import Outcome
from pushlane.send_options import SendOptions
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import RetryPolicy, next_step
from pushlane_worker.queue.turns import Settled, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from redis import Redis

    from pushlane import Receipt
    from pushlane_worker.queue.turns import Claim

BATCH = 10
MOST = {1: 9, 2: 15, 3: 17}
"""How many pushes ten messages with this many offenders may take."""
REFUSED = "HTTP 400, code 6451000: invalid message"
AT_ONCE = 6
"""Rooms at a time: of three offenders each, fewer than the 20 in a row that are taken for a fault of the channel."""


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """An API that refuses every request with a BAD text in it."""
    with fake_api(reject_text="BAD") as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        yield stack
        stack.close()


@pytest.mark.parametrize(
    ("offenders", "most"), [pytest.param(*case, marks=pytest.mark.long if case[0] > 2 else ()) for case in MOST.items()]
)
def test_offenders_die_alone_wherever_they_stand(stack: Stack, redis: Redis, offenders: int, most: int) -> None:
    """At every position: a bounded number of requests, the others in order, no attempt spent, the API's own words."""
    stack.worker("-c", "1").ready()
    cases = list(combinations(range(BATCH), offenders))
    receipts = {}
    with Producer(stack.redis_url) as producer:
        for start in range(0, len(cases), AT_ONCE):
            for case in cases[start : start + AT_ONCE]:
                texts = [f"{'BAD' if place in case else 'good'} #{place}" for place in range(BATCH)]
                receipts[case] = producer.send_many("support", [RoomMessage(str(case), text) for text in texts])
            done = min(start + AT_ONCE, len(cases))
            stack.wait_for(done * (BATCH - offenders))
        pushes = Counter(push.room for push in stack.api.pushes())
        assert max(pushes.values()) <= most
        for case in cases:
            expected = [f"good #{place}" for place in range(BATCH) if place not in case]
            assert stack.api.texts(str(case)) == expected
        for place in cases[-1]:
            stack.wait_for_state(producer, receipts[cases[-1]][place], "dead")
            status = producer.status("support", receipts[cases[-1]][place].message_id)
            assert status is not None
            assert (status.reason, status.detail) == ("rejected", REFUSED)
    # The last offender of an earlier room may be settled after the good ones of all have arrived.
    wait_until(lambda: redis.zcard("pushlane:1:{support}:dead") == len(cases) * offenders, "all offenders to be dead")
    assert stack.record().duplicates == 0


def test_the_neighbours_of_an_offender_spend_no_attempt(redis: Redis) -> None:
    """A rejection says nothing against the others, and a later failure still finds their whole budget."""
    queue = Queue(redis)
    queue.register()
    queue.enqueue("a", *(f"m{n}" for n in range(BATCH)))
    (claim,) = queue.turn().claims
    (first,) = queue.turn(settle(claim, Outcome.REJECTED, split=5)).claims
    assert [name.decode() for name in first.message_ids] == [f"m{n}" for n in range(5)]
    queue.enqueue("a", "later")
    (second,) = queue.turn(settle(first)).claims
    assert [name.decode() for name in second.message_ids] == [f"m{n}" for n in range(5, 10)]
    assert [history.attempts for history in second.history()] == [0] * 5
    (third,) = queue.turn(settle(second)).claims
    assert [name.decode() for name in third.message_ids] == ["later"]


def test_many_single_rejections_in_a_row_are_a_fault_of_the_channel(redis: Redis) -> None:
    """After 20 of different conversations, none delivered between, the gate breaks and no more messages die."""
    queue = Queue(redis, breaker_after=1000)
    queue.register()
    for n in range(30):
        queue.enqueue(f"room{n}", f"m{n}")
    answers: list[int] = []
    while claims := queue.turn().claims:
        for claim in claims:
            answers += queue.turn(settle(claim, Outcome.REJECTED, dead="1", reason="r", detail="no"), free=-1).settled
    gate = redis.hgetall(queue.prefix + "gate")
    assert (gate[b"state"], gate[b"reason"]) == (b"broken", b"suspect: no")
    assert queue.counters()["dead"] == answers.count(Settled.CURRENT) == 19
    assert set(answers) == {Settled.CURRENT, Settled.SPARED}
    queue.now += 30_000
    (probe,) = queue.turn().claims
    refused = queue.turn(settle(probe, Outcome.REJECTED, dead="1", reason="r"))
    assert (refused.claims, refused.settled) == ((), (Settled.SPARED,))
    assert queue.repeat().settled == (Settled.SPARED,)
    assert queue.counters()["dead"] == 19
    queue.now += 60_000
    (probe,) = queue.turn().claims
    assert queue.turn(settle(probe)).claims
    assert redis.hget(queue.prefix + "gate", "state") == b"open"


OFFENDERS = [
    *((0,), (4,), (5,), (9,)),
    *((0, 1), (0, 9), (4, 5), (2, 7)),
    *((0, 1, 2), (0, 5, 9), (4, 5, 6), (7, 8, 9)),
]
VICTIMS = [(6, 8), (8, 6), (1, 3), (5, 0), (9, 4)]
"""Of the ten: the one to be cancelled, and the one that expires. Some are offenders."""
POLICY = RetryPolicy(40, 86_400, 1, 300, 3600, "retry", 10)
EXPIRES_MS = 60_000
TEN = [f"m{place}" for place in range(BATCH)]
NEW = ["n0", "n1"]


@dataclass
class Split:
    """An API that refuses the offenders, and a drain that pushes one conversation to it, step by step."""

    queue: Queue
    offenders: set[str]
    pushes: list[list[str]] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)

    def push(self, claim: Claim) -> Sequence[Claim]:
        """Pushes a batch and settles it by the real rules; the next claims."""
        names = [name.decode() for name in claim.message_ids]
        self.pushes.append(names)
        if self.offenders & set(names):
            result = PushResult(Outcome.REJECTED, REFUSED)
        else:
            result = PushResult(Outcome.DELIVERED)
            self.arrived += names
        return self.queue.turn(Settlement(claim, result, next_step(result, claim.history(), POLICY, 0.5))).claims

    def fates(self) -> dict[str, str]:
        """The state of each message; of the dead ones why."""
        headers = {name: self.queue.header(name) for name in self.queue.messages}
        return {name: header.reason or header.state for name, header in headers.items()}

    def assert_kept(self, cancelled: str, expired: str, before: int) -> None:
        """Each has the fate that is its own, in order, within the bounds; nobody else's label or budget is touched."""
        fates = self.fates()
        for name, fate in fates.items():
            usual = "rejected" if name in self.offenders else "delivered"
            assert fate in {usual, "cancelled" if name == cancelled else usual, "expired" if name == expired else usual}
            assert self.queue.header(name).attempts == (fate in {"rejected", "delivered"})
            assert fate != "rejected" or self.queue.detail(name) == REFUSED
        assert self.arrived == [name for name, fate in fates.items() if fate == "delivered"]
        late = {name for push in self.pushes[before:] for name in push}
        assert expired not in late
        assert cancelled not in late or fates[cancelled] != "cancelled"
        assert not [push for push in self.pushes if set(NEW) & set(push) and set(TEN) & set(push)]
        assert sum(bool(set(TEN) & set(push)) for push in self.pushes) <= MOST[len(self.offenders)]
        self.queue.assert_counters()


@pytest.mark.parametrize("offenders", OFFENDERS, ids=str)
def test_what_happens_in_mid_split_mixes_with_no_part_of_it(redis: Redis, offenders: tuple[int, ...]) -> None:
    """A cancel, an expiry and new messages during any push of a split: order, budgets and bounds hold."""
    ends = Counter[str]()
    for cancelled, expired in VICTIMS:
        for during in range(MOST[len(offenders)]):
            redis.flushall()
            split = Split(Queue(redis), {TEN[place] for place in offenders})
            ends.update(_split(split, TEN[cancelled], TEN[expired], during).values())
    assert min(ends[end] for end in ("delivered", "rejected", "cancelled", "expired")) > 0, "a case is missing"


def _split(split: Split, cancelled: str, expired: str, during: int) -> dict[str, str]:
    queue = split.queue
    for name in TEN:
        queue.enqueue("a", name, expires=str(EXPIRES_MS) if name == expired else "")
    claims: Sequence[Claim] = queue.turn().claims
    while claims:
        (claim,) = claims
        assert len(split.pushes) < 2 * BATCH, "the split comes to no end"
        if len(split.pushes) == during:
            queue.cancel(cancelled)
            queue.now = EPOCH_MS + EXPIRES_MS
            queue.enqueue("a", *NEW)
        claims = split.push(claim)
    split.assert_kept(cancelled, expired, during + 1)
    return split.fates()


SLOW_S = 0.4
EXPIRES_S = 2.4
"""After the first push, which has to come within it, and before the ninth, which has the one that expires."""
CASES = {"one": (0,), "two": (0, 1), "three": (0, 4, 6)}


@pytest.mark.long
def test_a_worker_splits_on_while_messages_come_and_go(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    """A real worker and a slow API: the rest of each ten in order, then what came meanwhile; the others as told."""
    with fake_api(reject_text="BAD", latency_s=SLOW_S) as api, Producer(redis_url) as producer:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        try:
            register(redis, rate_limit=0)
            stack.worker("-c", "1").ready()
            receipts = {room: _send_ten(producer, room, offenders) for room, offenders in CASES.items()}
            wait_until(lambda: stack.record().by_status.get(400, 0) >= len(CASES), "the first refusals")
            for room in CASES:
                seventh = receipts[room][7].message_id
                # In flight until the first refusal is settled, then behind the left half.
                wait_until(lambda one=seventh: producer.cancel("support", one) == "cancelled", "the cancel")  # type: ignore[misc] # mypy does not infer a lambda's default
                producer.send_many("support", [RoomMessage(room, f"new #{BATCH + n}") for n in range(3)])
            wait_until(lambda: stack.depth() == 0, "all to be settled", 20)
            pushes = [(push.room, push.count) for push in api.pushes()]
            arrived = {room: api.texts(room) for room in CASES}
        finally:
            stack.close()
        for room, offenders in CASES.items():
            rest = [place for place in range(BATCH) if place not in {*offenders, 7, 9}]
            assert arrived[room] == [f"good #{place}" for place in rest] + [f"new #{BATCH + n}" for n in range(3)]
            assert (room, BATCH) in pushes, "the expiring one had no push: too slow for this test"
            # The new ones take one push of their own.
            assert sum(name == room for name, _ in pushes) - 1 <= MOST[len(offenders)]
            ends = [producer.status("support", receipt.message_id) for receipt in receipts[room]]
            told = [(end.reason or end.state, end.attempts) for end in ends if end]
            rejected = [("rejected", 1) if place in offenders else ("delivered", 1) for place in range(BATCH)]
            assert told == [*rejected[:7], ("cancelled", 0), rejected[8], ("expired", 0)]
            assert {end.detail for end in ends if end and end.reason == "rejected"} == {REFUSED}


def _send_ten(producer: Producer, room: str, offenders: tuple[int, ...]) -> list[Receipt]:
    """Ten messages in one call, the last of which expires."""
    lasting, passing = SendOptions(), SendOptions.check(None, None, EXPIRES_S)
    texts = [f"{'BAD' if place in offenders else 'good'} #{place}" for place in range(BATCH)]
    options = [lasting] * (BATCH - 1) + [passing]
    return producer.send_forms(
        "support", [Form(RoomMessage(room, text), option) for text, option in zip(texts, options, strict=True)]
    )
