"""Taking a message out of the queue again, with five honest answers."""

from pathlib import Path

import pytest
from redis import Redis
from support.queue import Queue, settle
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Producer, RoomMessage
from pushlane.outcome import Outcome
from pushlane.scripts import Script


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """A registered channel."""
    queue = Queue(redis)
    queue.register()
    return queue


def _state(producer: Producer, message_id: str) -> str | None:
    status = producer.status("support", message_id)
    return status.state if status else None


def test_a_waiting_message_is_cancelled_and_its_followers_move_on(queue: Queue, producer: Producer) -> None:
    """It is never claimed, its neighbours keep their order, and depth and status say so."""
    queue.enqueue("a", "first", "second", "third")
    assert producer.cancel("support", "second") == "cancelled"
    assert _state(producer, "second") == "cancelled"
    assert queue.counters()["depth"] == 2
    claimed = []
    while claims := queue.turn().claims:
        claimed += [name for claim in claims for name in claim.message_ids]
        queue.turn(*map(settle, claims), free=-1)
    assert claimed == [b"first", b"third"]
    assert queue.counters()["depth"] == 0


def test_a_message_that_is_listed_twice_is_pushed_once(queue: Queue, producer: Producer) -> None:
    """Cancelled behind others that waited until nobody remembered it, and sent again with its key."""
    queue.enqueue("a", "first", "again")
    producer.cancel("support", "again")
    queue.forget("again")
    queue.enqueue("a", "again", "last")
    claimed = []
    while claims := queue.turn().claims:
        claimed += [name for claim in claims for name in claim.message_ids]
        queue.turn(*map(settle, claims), free=-1)
    assert claimed == [b"first", b"again", b"last"]
    assert queue.counters()["depth"] == 0


def test_the_last_message_leaves_no_conversation_behind(queue: Queue, producer: Producer, redis: Redis) -> None:
    """An empty conversation is in no place."""
    queue.enqueue("a", "only")
    assert producer.cancel("support", "only") == "cancelled"
    assert redis.exists(*(queue.prefix + name for name in ("ready", "delayed", "leases", "conversation:a"))) == 0


def test_a_message_in_flight_is_not_cancelled_but_one_behind_it_is(queue: Queue, producer: Producer) -> None:
    """What the API may be reading cannot be taken back; the batch is settled as it was claimed."""
    queue.enqueue("a", *(f"m{n}" for n in range(12)))
    (claim,) = queue.turn().claims
    assert producer.cancel("support", "m9") == "in_flight"
    assert producer.cancel("support", "m10") == "cancelled"
    (claim,) = queue.turn(settle(claim)).claims
    assert claim.message_ids == [b"m11"]


def test_a_message_of_an_unknown_push_is_cancelled_with_a_warning(queue: Queue, producer: Producer) -> None:
    """It is not pushed again, but the API may have it already."""
    queue.enqueue("a", "m")
    (claim,) = queue.turn().claims
    queue.turn(settle(claim, Outcome.UNKNOWN, dead="0", wait_ms=5000), free=-1)
    assert producer.cancel("support", "m") == "maybe_delivered"
    queue.now += 5000
    assert queue.turn().claims == ()


def test_a_conversation_that_backs_off_goes_on_doing_so(queue: Queue, redis: Redis) -> None:
    """Cancelling its head does not make the next message due at once: the API is as slow for that one."""
    queue.enqueue("a", "head")
    (claim,) = queue.turn().claims
    queue.enqueue("a", "next", address=b"[null,1]")
    queue.turn(settle(claim, Outcome.FAILED, dead="0", wait_ms=5000), free=-1)
    assert Script("cancel").call(redis, queue.prefix, queue.now, "head") == b"cancelled"
    assert queue.turn().wait_ms == 5000
    queue.now += 5000
    assert [claim.message_ids for claim in queue.turn().claims] == [[b"next"]]


def test_final_and_unknown_messages_say_so(queue: Queue, producer: Producer) -> None:
    """Delivered, cancelled before, or never seen."""
    queue.follow_the_server()
    queue.enqueue("a", "delivered")
    (claim,) = queue.turn().claims
    queue.turn(settle(claim), free=-1)
    queue.enqueue("a", "twice")
    assert producer.cancel("support", "delivered") == "already_final"
    assert producer.cancel("support", "twice") == "cancelled"
    assert producer.cancel("support", "twice") == "already_final"
    assert producer.cancel("support", "never") == "not_found"
    assert producer.cancel("nobody", "never") == "not_found"


def test_a_full_redis_still_cancels(queue: Queue, producer: Producer, redis: Redis) -> None:
    """It frees memory, so it must work when there is none."""
    queue.enqueue("a", "m")
    redis.config_set("maxmemory", 1)
    try:
        assert producer.cancel("support", "m") == "cancelled"
    finally:
        redis.config_set("maxmemory", 0)


def test_a_cancelled_message_never_reaches_the_api(redis_url: str, producer: Producer, tmp_path: Path) -> None:
    """With a real worker: what is cancelled while the room's first push is on its way stays out."""
    with fake_api(latency_s=1.0) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        try:
            stack.worker("-c", "1").ready()
            first = producer.send("support", RoomMessage("r", "first"))
            wait_until(lambda: stack.record().in_flight == 1, "the first push")
            rest = producer.send_many("support", [RoomMessage("r", text) for text in ("second", "third")])
            assert producer.cancel("support", first.message_id) == "in_flight"
            assert producer.cancel("support", rest[0].message_id) == "cancelled"
            stack.wait_for(2)
            assert stack.api.texts("r") == ["first", "third"]
        finally:
            stack.close()


def test_a_message_of_a_cut_push_is_cancelled_with_a_warning_and_its_followers_move_on(
    redis_url: str, redis: Redis, producer: Producer, tmp_path: Path
) -> None:
    """With a real worker: the API has it, so it is `maybe_delivered`; it is not pushed again, those behind it are."""
    with fake_api(cut={"times": 1, "accept": True}) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url, backoff_base_s=3600, backoff_cap_s=3600))
        try:
            stack.worker("-c", "1").ready()
            first = producer.send("support", RoomMessage("r", "first"))
            wait_until(lambda: redis.zcard("pushlane:1:{support}:delayed") == 1, "it to back off")
            producer.send("support", RoomMessage("r", "second"))
            assert producer.cancel("support", first.message_id) == "maybe_delivered"
            redis.zadd("pushlane:1:{support}:delayed", {"r": 1})  # the backoff is over
            stack.wait_for(2)
            wait_until(lambda: stack.depth() == 0, "it to be settled")
            assert api.texts("r") == ["first", "second"]
            status = producer.status("support", first.message_id)
            assert status is not None
            assert (status.state, status.maybe_delivered) == ("cancelled", True)
        finally:
            stack.close()


def test_a_scheduled_message_that_is_cancelled_never_joins(
    redis_url: str, producer: Producer, api: FakeApi, tmp_path: Path
) -> None:
    """With a real worker: one that is due after it arrives, it does not."""
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    try:
        stack.worker("-c", "1").ready()
        first = producer.send("support", RoomMessage("r", "first"), not_before=0.5)
        producer.send("support", RoomMessage("r", "second"), not_before=0.6)
        assert producer.cancel("support", first.message_id) == "cancelled"
        stack.wait_for(1)
        assert api.texts("r") == ["second"]
    finally:
        stack.close()


def test_under_load_each_answer_is_true(redis_url: str, producer: Producer, tmp_path: Path) -> None:
    """While a worker pushes them: `cancelled` never arrives; what was in flight or final does, once; order is kept."""
    texts = [f"hello #{n + 1}" for n in range(30)]
    with fake_api(latency_s=0.3) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
        try:
            stack.worker("-c", "1").ready()
            sent = producer.send_many("support", [RoomMessage(f"r{n}", text) for text in texts for n in range(100)])
            wait_until(lambda: stack.depth() < len(sent), "some to be settled", 30)
            # From the end, which waits longest: however fast the worker is, some are still in the queue.
            answers = {one.message_id: producer.cancel("support", one.message_id) for one in sent[::-2]}
            wait_until(lambda: stack.depth() == 0, "everything to be settled", 30)
            arrived = {room: api.texts(room) for room in api.rooms()}
        finally:
            stack.close()
    assert set(answers.values()) == {"cancelled", "in_flight", "already_final"}
    expected: dict[str, list[str]] = {}
    for number, receipt in enumerate(sent):
        if answers.get(receipt.message_id) != "cancelled":
            expected.setdefault(receipt.conversation, []).append(texts[number // 100])
    assert arrived == expected


def test_a_message_of_a_newer_layout_is_left_alone(queue: Queue) -> None:
    """During a rolling upgrade an older producer cannot judge it."""
    queue.enqueue("a", "a1")
    queue.overwrite("a1", "version", "3")
    before = queue.record("a1")
    assert queue.cancel("a1") == "not_found"
    assert queue.record("a1") == before
