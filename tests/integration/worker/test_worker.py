"""What a Celery worker process does, against a real server and a fake chat API on real sockets."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """Two channels, `support` and `sales`, on one API."""
    settings = channel_settings(api.url) | channel_settings(api.url, "sales")
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


def test_a_message_goes_all_the_way(stack: Stack, producer: Producer) -> None:
    """What a service sends arrives once, with its sender and receiver, and its status says so."""
    stack.worker("-c", "1").ready()
    receipt = producer.send("support", RoomMessage("r 1/{x}", "héllo ☃", sender_eid="s", receiver_eid='"r"'))
    stack.wait_for(1)
    assert [(entry.text, entry.sender, entry.receiver) for entry in stack.api.room("r 1/{x}")] == [
        ("héllo ☃", "s", '"r"')
    ]
    stack.wait_for_state(producer, receipt, "delivered")
    status = producer.status("support", receipt.message_id)
    assert status is not None
    assert status.attempts == 1
    assert status.final_at is not None


def test_a_backlog_goes_out_in_full_batches_and_in_order(stack: Stack, producer: Producer) -> None:
    """What waits for one room is pushed ten at a time, in the order of acceptance."""
    stack.worker("-c", "1").ready()
    messages = [RoomMessage(f"r{n % 7}", f"hello #{n + 1}") for n in range(700)]
    producer.send_many("support", messages)
    summary = stack.wait_for(700)
    assert (summary.duplicates, summary.order_breaks, summary.accepted_pushes) == (0, 0, 70)


@pytest.mark.alone
def test_a_hanging_push_delays_nobody_else(stack: Stack, producer: Producer) -> None:
    """While a push of one room hangs for 9 s, other rooms and another channel go on at their pace, with `-c 1`."""
    stack.worker("-c", "1").ready()
    producer.send("support", RoomMessage("warm", "up"))
    stack.wait_for(1)
    before = _send_and_wait(stack, producer, "before")
    stack.api.control(stall={"seconds": 9, "room": "stuck"})
    producer.send("support", RoomMessage("stuck", "hello"))
    wait_until(lambda: stack.record().in_flight == 1, "the push to hang")
    during = _send_and_wait(stack, producer, "during")
    assert stack.record().in_flight == 1, "the push hangs no more"
    assert during < 4 * before + 1, f"{before:.2f} s before, {during:.2f} s during the hang"
    wait_until(lambda: stack.api.texts("stuck") == ["hello"], "the hanging push to end", 15)


def _send_and_wait(stack: Stack, producer: Producer, word: str) -> float:
    """Seconds until 20 waves to 10 rooms of both channels have arrived."""
    started = time.monotonic()
    waves = 20
    already = stack.record().accepted
    for wave in range(waves):
        for channel in ("support", "sales"):
            producer.send_many(channel, [RoomMessage(f"{channel}{n}", f"{word} {wave}") for n in range(10)])
        stack.wait_for(already + 20 * (wave + 1))
    return time.monotonic() - started


@pytest.mark.alone
def test_an_idle_queue_is_quick(stack: Stack, producer: Producer) -> None:
    """From `send` to arrival at the API it takes milliseconds: the median of 100 sends is under 100 ms."""
    # The bound holds on a busy machine too.
    stack.worker("-c", "1").ready()
    producer.send("support", RoomMessage("warm", "up"))
    stack.wait_for(1)
    taken = []
    for number in range(100):
        sent = time.time() * 1000
        producer.send("support", RoomMessage("r", f"hello #{number + 1}"))
        stack.wait_for(number + 2)
        taken.append(stack.api.room("r")[-1].at_ms - sent)
    assert statistics.median(taken) < 100, sorted(taken)


@pytest.fixture
def vip(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """The channel `support`, and `vip` with a queue of its own."""
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url) | channel_settings(api.url, "vip", queue="vip"))
    yield stack
    stack.close()


def test_a_worker_consumes_the_queues_of_all_its_channels(vip: Stack, producer: Producer) -> None:
    """Unless it is told which."""
    vip.worker("-c", "1").ready()
    producer.send("vip", RoomMessage("r", "for the few"))
    producer.send("support", RoomMessage("r", "for all"))
    vip.wait_for(2)


def test_a_queue_that_nobody_consumes_holds_one_task_and_is_reported(
    vip: Stack, redis: Redis, broker: Redis, producer: Producer
) -> None:
    """Its drain waits for a worker with that `-Q`, however often its ring lapses; the log has one error."""
    worker = vip.worker("-c", "1", "-Q", "pushlane").ready()
    producer.send("vip", RoomMessage("r", "for the few"))
    producer.send("support", RoomMessage("r", "for all"))
    vip.wait_for(1)
    lapsed = 0

    def rings_lapse() -> bool:
        nonlocal lapsed
        lapsed += redis.delete("pushlane:1:{vip}:pending")
        return lapsed > 3

    wait_until(rings_lapse, "the drain's ring to be repeated", 20)
    assert broker.llen("vip") == 1
    assert vip.api.texts("r") == ["for all"]
    lines = [line for line in worker.log.read_text().splitlines() if "queue.not_consumed" in line]
    assert len([line for line in lines if "[error" in line and "channel=vip" in line]) == 1
    assert len([line for line in lines if "[warning" in line and "queue=pushlane.enqueue" in line]) == 1
    vip.worker("-c", "1", "-Q", "vip,pushlane.enqueue").ready()
    vip.wait_for(2)
    wait_until(lambda: "queue.consumed_again" in worker.log.read_text(), "the end of the trouble to be logged")
