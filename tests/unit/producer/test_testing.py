"""What a service uses in its own tests: real limits and errors, and a look at what was sent."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.channels import channel_record
from support.processes import environment

from pushlane import (
    AsyncProducer,
    Hold,
    IdempotencyConflict,
    InvalidMessage,
    Producer,
    Receipt,
    RoomMessage,
    ThirdPartyMessage,
    UnknownChannel,
)
from pushlane.testing import _KINDS, _RECORD, assert_sent, fake_async_producer, fake_producer, sent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HELLO, BYE = RoomMessage("room-1", "Hello"), RoomMessage("room-1", "Bye")
ORDER = ThirdPartyMessage("alice", {"text": "Hello", "items": [1, {"n": None}]})


@pytest.fixture
def producer() -> Iterator[Producer]:
    """A producer with a channel of each kind."""
    with fake_producer({"support": "cinnox", "shop": "third_party"}) as producer:
        yield producer


# --- the producer ----------------------------------------------------------------------------------------------------


def test_what_was_accepted_is_told_in_its_order(producer: Producer) -> None:
    """As the messages that the service made, of all channels or of one."""
    signed = RoomMessage("room-2", "Signed", sender_eid="s", receiver_eid="r")
    texts = [RoomMessage("room-1", str(number)) for number in range(30)]
    producer.send_many("support", texts)
    producer.send("shop", ORDER)
    producer.send("support", signed)
    assert sent(producer, "support") == [*texts, signed]
    assert sent(producer, "shop") == [ORDER]
    assert sent(producer) == [*texts, signed, ORDER]


def test_receipts_status_and_cancel_are_the_real_ones(producer: Producer) -> None:
    """A cancelled message is not among those that were sent, a scheduled or held one is."""
    first = producer.send("support", HELLO)
    later = producer.send("support", BYE, not_before=timedelta(hours=1), expires_in=7200)
    held = producer.send("support", HELLO, hold=Hold("key", 60))
    assert [_state(producer, receipt) for receipt in (first, later, held)] == ["queued", "scheduled", "held"]
    assert (first.sequence, later.sequence, held.sequence) == (1, 2, 3)
    assert producer.cancel("support", first.message_id) == "cancelled"
    assert producer.cancel("support", first.message_id) == "already_final"
    assert producer.cancel("support", "nobody") == "not_found"
    assert sent(producer) == [BYE, HELLO]
    assert producer.decide("support", "key", "allow") == "allow"
    assert _state(producer, held) == "queued"


def _state(producer: Producer, receipt: Receipt) -> str | None:
    status = producer.status(receipt.channel, receipt.message_id)
    return status.state if status else None


def test_a_repeat_is_sent_once_and_another_message_is_a_conflict(producer: Producer) -> None:
    """A service that forgets the key, or uses one twice, sees it in its test."""
    assert not producer.send("support", HELLO, idempotency_key="k").duplicate
    assert producer.send("support", HELLO, idempotency_key="k").duplicate
    with pytest.raises(IdempotencyConflict):
        producer.send("support", BYE, idempotency_key="k")
    assert sent(producer) == [HELLO]


def test_limits_and_errors_are_the_real_ones(producer: Producer) -> None:
    """What production would refuse, a test refuses."""
    with pytest.raises(InvalidMessage, match="the limit is 5000"):
        producer.send("support", RoomMessage("room-1", "x" * 5001))
    with pytest.raises(InvalidMessage, match="the channel is of kind 'third_party'"):
        producer.send("shop", HELLO)
    with pytest.raises(UnknownChannel):
        producer.send("suport", HELLO)
    assert sent(producer) == []


def test_a_channels_kind_is_what_it_was_registered_with(producer: Producer) -> None:
    """The caller then knows which message to make."""
    assert (producer.kind_of("support"), producer.kind_of("shop")) == ("cinnox", "third_party")
    with pytest.raises(UnknownChannel):
        producer.kind_of("suport")


def test_two_producers_know_nothing_of_each_other(producer: Producer) -> None:
    """One test leaves nothing to the next one."""
    other = fake_producer({"support": "cinnox"})
    other.send("support", HELLO)
    assert (sent(producer), sent(other)) == ([], [HELLO])


async def test_the_same_for_asyncio() -> None:
    """The names are those of the other one, and what was sent is looked at without await."""
    async with fake_async_producer({"support": "cinnox"}) as producer:
        assert isinstance(producer, AsyncProducer)
        receipt = await producer.send("support", HELLO, idempotency_key="k")
        await producer.send_many("support", [BYE, BYE])
        with pytest.raises(IdempotencyConflict):
            await producer.send("support", BYE, idempotency_key="k")
        assert await producer.cancel("support", receipt.message_id) == "cancelled"
        assert_sent(producer, "support", BYE, BYE)
    assert sent(producer) == [BYE, BYE]


@pytest.mark.parametrize(
    ("channels", "problem"),
    [
        ({"support": "cinox"}, "channel 'support' must be of kind cinnox or third_party, not 'cinox'"),
        ({"Not A Channel": "cinnox"}, "must be lower-case letters"),
    ],
)
def test_a_channel_that_can_not_be_is_refused(channels: Mapping[str, str], problem: str) -> None:
    """A typo must not become a test that proves nothing."""
    for make in (fake_producer, fake_async_producer):
        with pytest.raises(ValueError, match=problem):
            make(channels)


@pytest.mark.parametrize("kind", ["cinnox", "third_party"])
def test_a_channel_is_as_a_worker_registers_it(kind: str) -> None:
    """Its limits are those that hold when nothing else is set."""
    assert {"kind": kind, **_KINDS[kind], **_RECORD} == channel_record(kind=kind)


# --- what was sent ---------------------------------------------------------------------------------------------------


def test_messages_were_sent_if_they_come_in_this_order(producer: Producer) -> None:
    """Others may lie between them; an object is the same whatever the order of its names is."""
    producer.send_many("support", [HELLO, BYE, RoomMessage("room-2", "Between"), HELLO])
    producer.send("shop", ThirdPartyMessage("alice", {"a": (1, 2), "b": 1}))
    assert_sent(producer, "support", HELLO)
    assert_sent(producer, "support", HELLO, BYE, HELLO)
    assert_sent(producer, "support", BYE, HELLO)
    assert_sent(producer, "shop", ThirdPartyMessage("alice", {"b": 1, "a": (1, 2)}))
    for wrong in ([HELLO, HELLO, BYE], [BYE, BYE], [RoomMessage("room-2", "Hello")], [RoomMessage("room-1", "hello")]):
        with pytest.raises(AssertionError):
            assert_sent(producer, "support", *wrong)
    with pytest.raises(AssertionError):
        assert_sent(producer, "shop", ThirdPartyMessage("alice", {"a": [1, 2]}))


def test_a_failed_assertion_says_what_was_sent_instead(producer: Producer) -> None:
    """Whoever reads it sees the difference without a debugger."""
    assert _failure(producer, HELLO) == [
        "to 'support' was not sent:",
        "  RoomMessage(room_id='room-1', text='Hello', sender_eid=None, receiver_eid=None)",
        "nothing was sent to it",
    ]
    producer.send_many("support", [HELLO, *[BYE] * 24])
    lines = _failure(producer, RoomMessage("room-1", "Hallo"))
    assert lines[0] == "to 'support' was not sent:"
    assert lines[2:4] == ["messages sent to it:", f"  {HELLO!r}"]
    assert lines[-1] == "  and 5 more"
    assert len(lines) == 24
    assert _failure(producer, BYE, HELLO)[:2] == [
        "to 'support' was sent, but not in this order or not as often:",
        f"  {HELLO!r}",
    ]


def _failure(producer: Producer, *messages: Any) -> list[str]:  # noqa: ANN401 # whatever a test may pass
    with pytest.raises(AssertionError) as caught:
        assert_sent(producer, "support", *messages)
    return str(caught.value).splitlines()


def test_what_is_no_message_was_not_sent(producer: Producer) -> None:
    """A text alone is a mistake in the test, and reported as one."""
    producer.send("support", HELLO)
    assert _failure(producer, "Hello")[:2] == ["to 'support' was not sent:", "  'Hello'"]


def test_a_look_at_the_wrong_place_is_an_error(producer: Producer) -> None:
    """An empty list would let a test pass that looks at nothing."""
    with pytest.raises(ValueError, match="no channel 'suport' here: the producer was created with support, shop"):
        sent(producer, "suport")
    with pytest.raises(TypeError, match="must come from fake_producer"), Producer("redis://localhost:1/0") as real:
        sent(real)


@pytest.mark.parametrize("missing", ["fakeredis", "lupa"])
def test_without_the_extra_one_line_says_what_to_install(missing: str) -> None:
    """Where pushlane is installed without it."""
    code = f"import sys; sys.modules[{missing!r}] = None; import pushlane.testing"
    ended = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: pushlane.testing needs the extra: pip install 'pushlane[testing]' ({missing})"
    )
