"""Pushes of unknown outcome: each is listed, and what it says of its messages is true."""

import itertools
import json
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.command import pushlane
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

PREFIX = "pushlane:1:{support}:"
ROOMS = 250
PER_ROOM = 15
MESSAGES = ROOMS * PER_ROOM
RUN = 3
"""So many messages of a room in a row have one sender: a push takes no more of them, and there are more to cut."""
CUTS = 0.02
LEASE_S = 6.0
UNANSWERED = 15

Text = tuple[str, str]
"""A room and a text of it, which is sent once."""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API whose answers take long enough that two workers have something to do."""
    with fake_api(latency_s=0.05) as api:
        yield api


def _enqueue(producer: Producer) -> dict[str, Text]:
    """What each message id says."""
    numbers = [(f"r{room}", number) for number in range(PER_ROOM) for room in range(ROOMS)]
    messages = [RoomMessage(room, f"hello #{n + 1}", sender_eid=f"agent{n // RUN}") for room, n in numbers]
    receipts = producer.send_many("support", messages)
    return {
        receipt.message_id: (receipt.conversation, one.text) for receipt, one in zip(receipts, messages, strict=True)
    }


def _listed(redis: Redis) -> list[list[str]]:
    """The message ids of each push in the list, in its order."""
    entries: Any = redis.xrange(f"{PREFIX}unknown")
    return [fields[b"message_ids"].decode().split(",") for _, fields in entries]


def _texts(batches: Sequence[Sequence[str]], said: dict[str, Text]) -> list[tuple[Text, ...]]:
    return sorted(tuple(said[message_id] for message_id in batch) for batch in batches)


def _cut(api: FakeApi, *, accepted: bool | None = None) -> list[tuple[Text, ...]]:
    """The batches whose connection the stand-in cut."""
    cuts = (one for one in api.injected("cut") if accepted in {None, one.accepted})
    return sorted(tuple((one.room, text) for text in one.texts) for one in cuts)


def _arrivals(api: FakeApi) -> Counter[Text]:
    return Counter((room, text) for room in api.rooms() for text in api.texts(room))


def _settled(stack: Stack) -> None:
    wait_until(lambda: stack.depth() == 0, "everything to be settled", 60)


def _shown(stack: Stack) -> dict[str, Any]:
    """What ``pushlane status`` says of the channel."""
    shown: dict[str, Any] = json.loads(pushlane("status", "support", "--json", redis_url=stack.redis_url).ok())
    return dict(shown["channels"][0])


@pytest.mark.long
@pytest.mark.timeout(120)
def test_the_list_is_exactly_the_cut_pushes_and_only_they_are_repeated(
    redis_url: str, redis: Redis, api: FakeApi, tmp_path: Path
) -> None:
    """2 % of the connections are cut after the request, now with and now without effect, under two workers."""
    api.control(cut={"rate": CUTS, "accept": True})
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    try:
        workers = [stack.worker("-c", "1").ready() for _ in range(2)]
        with Producer(redis_url) as producer:
            said = _enqueue(producer)
        wait_until(lambda: stack.record().distinct > MESSAGES / 2, "half of the messages", 60)
        api.control(cut={"rate": CUTS, "accept": False})
        _settled(stack)
        summary, arrivals, shown = stack.record(), _arrivals(api), _shown(stack)
        wait_until(lambda: all("push.done" in worker.log.read_text() for worker in workers), "each worker to push")
    finally:
        stack.close()
    listed = _listed(redis)
    assert len(listed) >= 10, "too few cuts for this test"
    assert _texts(listed, said) == _cut(api)
    assert shown["unknown_pushes"] == len(listed)
    assert [push["message_ids"] for push in shown["last_unknown"]] == listed[:-6:-1]
    # Each once, and once more for each cut push that took effect.
    assert arrivals == Counter(said.values()) + Counter(itertools.chain.from_iterable(_cut(api, accepted=True)))
    assert (summary.distinct, summary.order_breaks, summary.overlaps) == (MESSAGES, 0, 0)
    assert (shown["delivered"], shown["dead_letters"]) == (MESSAGES, 0)


@pytest.mark.long
@pytest.mark.timeout(120)
def test_with_dead_letter_nothing_arrives_twice_though_connections_are_cut_and_a_worker_is_killed(
    redis_url: str, redis: Redis, api: FakeApi, tmp_path: Path
) -> None:
    """Every message is delivered, or a dead letter that says it may be: those of the cut and of the killed pushes."""
    api.control(cut={"rate": CUTS, "accept": True}, latency_s=0.4)
    settings = channel_settings(api.url, on_unknown="dead_letter")
    settings |= {"PUSHLANE_LEASE_S": str(LEASE_S), "PUSHLANE_PUSH_DEADLINE_S": "3"}
    stack = Stack(redis_url, api, tmp_path, settings)
    try:
        worker = stack.worker("-c", "1").ready()
        with Producer(redis_url) as producer:
            said = _enqueue(producer)
            wait_until(lambda: stack.record().in_flight >= UNANSWERED, f"{UNANSWERED} unanswered pushes")
            worker.kill_group(signal.SIGKILL)
            claims: Any = redis.hvals(f"{PREFIX}claims")
            leased = [claim.split(b" ")[3].decode().split(",") for claim in claims]
            assert len(leased) >= UNANSWERED
            api.control(latency_s=0.05)
            stack.worker("-c", "1").ready()
            _settled(stack)
            statuses = [producer.status("support", message_id) for message_id in said]
        summary, arrivals, shown = stack.record(), _arrivals(api), _shown(stack)
    finally:
        stack.close()
    listed = _listed(redis)
    assert (summary.duplicates, summary.order_breaks) == (0, 0)
    assert _texts(listed, said) == sorted({*_cut(api), *_texts(leased, said)})
    ends = {one.message_id: (one.state, one.reason, one.maybe_delivered) for one in statuses if one is not None}
    unknown = set(itertools.chain.from_iterable(listed))
    dead, delivered = ("dead", "unknown", True), ("delivered", None, False)
    assert ends == {message_id: dead if message_id in unknown else delivered for message_id in said}
    assert all(arrivals[text] == 1 for message_id, text in said.items() if message_id not in unknown)
    assert (shown["dead_letters"], shown["unknown_pushes"]) == (len(unknown), len(listed))
