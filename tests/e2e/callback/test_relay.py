"""From the chat platform's question to the chat API: what moderation lets pass is relayed, once and in its order."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.callback import Callback, c2c, callback, moderation
from support.channels import register
from support.producers import bytes_of
from support.stack import Stack, channel_settings, fake_api
from support.waiting import assert_takes, wait_until

from pushlane import Hold, Producer, RoomMessage
from pushlane.keys import DECISIONS_PREFIX, UNFED, channel_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

pytestmark = pytest.mark.long

REFED_S = 10
"""A worker's sweep takes up after 5 s what a callback left, and looks every 2 s."""
ROOM = "im-bob"
RELAY = {"relay_channel": "support", "relay_room": "im-{To_Account}", "blocked_words_action": "mask"}
OWN = """
from pushlane import RoomMessage
from pushlane.callback.routing import Route
from pushlane.callback.verdict import Verdict

class Quiet:
    name = "quiet"

    def judge(self, message):
        return Verdict.discard(reason="hush") if "hush" in message.text else None

def route(message):
    if "nowhere" in message.text:
        return None
    if "broken" in message.text:
        raise RuntimeError("the operator's own error")
    return Route("support", RoomMessage(f"{message.sender}+{message.receiver}", f"{message.sender}: {message.text}"))
"""


class Relay:
    """A callback, a worker and a stand-in for the chat API."""

    def __init__(self, stack: Stack, running: Callback, client: httpx.Client) -> None:
        self.stack = stack
        self.callback = running
        self.client = client

    def ask(self, number: int, text: str = "hello", **fields: object) -> dict[str, Any]:
        """The callback's answer to a message from alice to bob."""
        return self.callback.ask(self.client, c2c(number, text, **fields))

    def arrived(self, count: int, timeout_s: float = 30) -> list[str]:
        """The room's texts, once there are this many and the queue is empty."""
        self.stack.wait_for(count, timeout_s)
        wait_until(lambda: self.stack.depth() == 0, "the queue to be empty")
        return self.stack.api.texts(ROOM)


Start = Callable[..., Relay]


@pytest.fixture
def start(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a relay with these settings of MODERATION; without a worker when told so."""
    (tmp_path / "own.py").write_text(OWN)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    with ExitStack() as stack:

        def begin(*, worker: bool = True, **settings: object) -> Relay:
            api = stack.enter_context(fake_api())
            told = channel_settings(api.url)
            workers = Stack(redis_url, api, tmp_path, told)
            stack.callback(workers.close)
            if worker:
                register(redis)
                started = workers.worker("-c", "1")
            asked = {**moderation(tmp_path, **settings), "PYTHONPATH": path}
            running = stack.enter_context(callback(tmp_path, redis_url, asked))
            if worker:
                started.ready()
            return Relay(workers, running, stack.enter_context(httpx.Client()))

        yield begin


def _unfed(redis: Redis) -> int:
    """Decisions with effects that are not done; those that wait for the channel have a key for each lane."""
    return len({key.partition(b"@")[0] for key in redis.scan_iter(f"{DECISIONS_PREFIX}effects:*")})


def test_the_callback_relays_without_waiting_for_a_worker(start: Start, redis: Redis) -> None:
    """It does what it decides; workers look each 5 s for what a callback has left undone."""
    relay, numbers = start(worker=False, **RELAY), itertools.count(1)
    register(redis)

    def relayed() -> None:
        already = relay.stack.depth()
        relay.ask(next(numbers))
        wait_until(lambda: relay.stack.depth() > already, "the message in the channel")

    assert_takes(4, relayed)


def test_an_allowed_message_arrives_in_the_routed_room(start: Start, redis: Redis) -> None:
    """A rewritten one as it was rewritten; each element of text is a line."""
    relay = start(**RELAY)
    assert relay.ask(1, "hello")["ErrorCode"] == 0
    masked = relay.ask(2, "the casino!")["MsgBody"][0]["MsgContent"]["Text"]
    elements = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}} for text in ("one", "two")]
    relay.ask(3, MsgBody=[elements[0], {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 1}}, elements[1]])
    assert "casino" not in masked
    assert relay.arrived(3) == ["hello", masked, "one\ntwo"]
    wait_until(lambda: _unfed(redis) == 0, "the effects to be acknowledged")
    assert list(redis.scan_iter(f"{DECISIONS_PREFIX}effects:*")) == []
    (entry, *_) = relay.stack.api.room(ROOM)
    assert (entry.sender, entry.receiver) == (None, None)


def test_forbidden_and_discarded_messages_are_not_relayed(start: Start) -> None:
    """Nor what only reaches who is online, nor what has no text."""
    policies = '["blocked_words", "own:Quiet"]'
    relay = start(**{**RELAY, "blocked_words_action": "forbid", "policies": policies})
    assert relay.ask(1, "the casino!")["ErrorCode"] != 0
    assert relay.ask(2, "hush now")["ErrorCode"] == 2
    assert relay.ask(3, "online", OnlineOnlyFlag=1)["ErrorCode"] == 0
    assert relay.ask(4, MsgBody=[{"MsgType": "TIMFaceElem", "MsgContent": {"Index": 1}}])["ErrorCode"] == 0
    assert relay.ask(5, "")["ErrorCode"] == 0
    relay.ask(6, "the end")
    assert relay.arrived(1) == ["the end"]
    assert relay.stack.record().accepted == 1


def test_ten_repeats_are_one_delivery(start: Start) -> None:
    """One after another and at once; what says something else under the same key is judged anew and delivered too."""
    relay = start(**RELAY)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: relay.ask(1, "a casino"), range(10)))
    answers += [relay.ask(1, "a casino") for _ in range(10)]
    assert answers == [answers[0]] * 20
    assert relay.ask(1, "another text")["ErrorCode"] == 0
    assert relay.ask(1, "another text", CloudCustomData="x")["ErrorCode"] == 0
    relay.ask(2, "the end")
    masked = answers[0]["MsgBody"][0]["MsgContent"]["Text"]
    assert relay.arrived(4) == [masked, "another text", "another text", "the end"]


def test_messages_that_are_sent_one_after_another_keep_their_order(start: Start) -> None:
    """Whatever is fed together, and however many rooms there are."""
    relay = start(**RELAY)
    for number in range(60):
        relay.ask(number, f"#{number:03}", To_Account=f"to{number % 2}")
    relay.arrived(60)
    for parity in (0, 1):
        assert relay.stack.api.texts(f"im-to{parity}") == [f"#{number:03}" for number in range(parity, 60, 2)]


def test_a_function_of_the_operators_own_routes_and_builds_the_text(start: Start) -> None:
    """It may also say nowhere; its errors are logged, and cost nobody the answer."""
    relay = start(routing="own:route", blocked_words_action="mask")
    for number, text in enumerate(("hello", "nowhere", "broken", "the casino!")):
        assert relay.ask(number, text)["ErrorCode"] == 0
    relay.arrived(2)
    texts = relay.stack.api.texts("alice+bob")
    assert (len(texts), texts[0]) == (2, "alice: hello")
    assert texts[1].startswith("alice: the ")
    assert "casino" not in texts[1]
    assert relay.stack.api.rooms() == {"alice+bob": 2}
    wait_until(lambda: "routing.failed" in relay.callback.log.read_text(), "the line of what failed")
    log = relay.callback.log.read_text()
    assert "broken" not in log.replace("routing.failed", ""), "no text in the log"


@pytest.mark.parametrize(
    ("action", "text", "expected"),
    [("mask", "hello", "of the service"), ("mask", "the casino!", None), ("forbid", "the casino!", "")],
    ids=["allow", "rewrite", "forbid"],
)
def test_the_callbacks_verdict_decides_on_what_is_held_for_its_key(
    start: Start, redis_url: str, action: str, text: str, expected: str | None
) -> None:
    """A service holds its own message for a MsgKey of the platform; nothing else is relayed."""
    relay = start(relay_channel="support", blocked_words_action=action)
    with Producer(redis_url) as producer:
        key = c2c(1)["MsgKey"]
        held = producer.send("support", RoomMessage(ROOM, "of the service"), hold=Hold(key, 60))
        producer.send("support", RoomMessage(ROOM, "behind"))
        answer = relay.ask(1, text)
        wait_until(lambda: relay.stack.depth() == 0, "the hold to end")
        status = producer.status("support", held.message_id)
        early = producer.send("support", RoomMessage(ROOM, "later"), hold=Hold(key, 60))
        assert early.state == ("dead" if action == "forbid" else "queued")
    if expected is None:
        expected = answer["MsgBody"][0]["MsgContent"]["Text"]
    assert status is not None
    if action == "forbid":
        assert (status.state, status.reason) == ("dead", "forbidden")
        assert relay.arrived(1) == ["behind"]
    else:
        assert relay.arrived(3)[:2] == [expected, "behind"]


def test_a_routing_that_raises_leaves_the_verdict_on_what_is_held(start: Start, redis_url: str) -> None:
    """The message itself goes nowhere then."""
    relay = start(relay_channel="support", routing="own:route")
    with Producer(redis_url) as producer:
        producer.send("support", RoomMessage(ROOM, "of the service"), hold=Hold(c2c(1)["MsgKey"], 60))
        relay.ask(1, "broken")
        assert relay.arrived(1) == ["of the service"]


def test_what_a_killed_callback_left_undone_a_worker_does(start: Start, redis: Redis) -> None:
    """Its channel was not there yet; its process is gone before it is. Each message arrives once, in order."""
    relay = start(**RELAY, worker=False)
    for number in range(3):
        relay.ask(number, f"#{number}")
    relay.callback.process.send_signal(signal.SIGKILL)
    relay.callback.process.wait()
    assert _unfed(redis) == 3
    relay.stack.worker("-c", "1").ready()
    assert relay.arrived(3, REFED_S) == ["#0", "#1", "#2"]
    wait_until(lambda: _unfed(redis) == 0, "the effects to be acknowledged", REFED_S)
    assert relay.stack.record().accepted == 3


def test_effects_that_are_done_twice_are_one_delivery(start: Start, redis: Redis) -> None:
    """As when a process dies between doing them and saying so."""
    relay = start(**RELAY, worker=False)
    relay.ask(1)
    relay.callback.process.send_signal(signal.SIGKILL)
    relay.callback.process.wait()
    (key,) = map(bytes_of, redis.zrange(UNFED, 0, -1))
    name = f"{DECISIONS_PREFIX}effects:{key.decode()}"
    effects = redis.get(name)
    assert effects is not None
    relay.stack.worker("-c", "1").ready()
    assert relay.arrived(1, REFED_S) == ["hello"]
    wait_until(lambda: _unfed(redis) == 0, "the effects to be acknowledged", REFED_S)
    redis.set(name, effects)
    redis.zadd(UNFED, {key: 1})
    wait_until(lambda: _unfed(redis) == 0, "them to be done once more", REFED_S)
    assert redis.hget(f"{channel_prefix('support')}counters", "accepted") == b"1"
    assert (relay.stack.depth(), relay.stack.record().accepted) == (0, 1)


def test_a_callback_that_is_killed_right_after_its_answer_loses_nothing(start: Start, redis: Redis) -> None:
    """Whatever it had done of its effects: each message arrives once, soon."""
    relay = start(**RELAY)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: relay.ask(number, f"#{number}"), range(40)))
    relay.callback.process.send_signal(signal.SIGKILL)
    assert [answer["ErrorCode"] for answer in answers] == [0] * 40
    assert sorted(relay.arrived(40, REFED_S)) == sorted(f"#{number}" for number in range(40))
    wait_until(lambda: _unfed(redis) == 0, "the effects to be acknowledged", REFED_S)
    assert relay.stack.record().accepted == 40
    assert redis.hget(f"{channel_prefix('support')}counters", "accepted") == b"40"
