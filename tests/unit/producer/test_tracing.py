"""The producers' spans, and the context that a message takes along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from support.spans import recorded, traceparent

from pushlane import Hold, InvalidMessage, RoomMessage, tracing
from pushlane.enqueue_protocol import describe
from pushlane.keys import channel_prefix
from pushlane.testing import fake_async_producer, fake_producer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from pushlane import Producer

CHANNELS = {"support": "cinnox"}
HELLO = RoomMessage("room-1", "Hello, secret")
MESSAGING = {
    "messaging.system": "pushlane",
    "messaging.destination.name": "support",
    "messaging.operation.type": "send",
    "messaging.operation.name": "send",
}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What this process records."""
    with recorded() as exporter:
        yield exporter


def details(producer: Producer) -> dict[bytes, bytes]:
    """The details of all messages of the channel."""
    found: Any = producer._redis.hgetall(f"{channel_prefix('support')}details")
    return dict(found)


def test_a_send_is_a_producer_span_whose_context_the_message_takes_along(spans: InMemorySpanExporter) -> None:
    """It names the message and its conversation, and says nothing of the text."""
    with fake_producer(CHANNELS) as producer:
        receipt = producer.send("support", HELLO)
        assert details(producer) == {
            f"{receipt.message_id}:trace".encode(): traceparent(spans.get_finished_spans()[0]).encode()
        }
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind, span.parent) == ("send support", trace.SpanKind.PRODUCER, None)
    assert span.attributes == MESSAGING | {
        "messaging.message.id": receipt.message_id,
        "messaging.message.conversation_id": "room-1",
    }
    assert span.status.is_unset
    assert "secret" not in span.to_json()


async def test_the_messages_of_a_list_share_one_span(spans: InMemorySpanExporter) -> None:
    """Also with asyncio, and over several round trips; the span is a child of the caller's."""
    with trace.get_tracer("service").start_as_current_span("order"):
        async with fake_async_producer(CHANNELS) as producer:
            receipts = await producer.send_many("support", [HELLO] * 1001)
            found: Any = await producer._redis.hgetall(f"{channel_prefix('support')}details")
    sent, order = spans.get_finished_spans()
    assert sent.parent == order.context
    assert (sent.attributes or {}).get("messaging.batch.message_count") == 1001
    assert found == {f"{receipt.message_id}:trace".encode(): traceparent(sent).encode() for receipt in receipts}


def test_a_send_that_raises_is_a_failed_span(spans: InMemorySpanExporter) -> None:
    """It has the error's class; neither its text nor a stack, which could quote the message."""
    with fake_producer(CHANNELS) as producer, pytest.raises(InvalidMessage):
        producer.send("support", RoomMessage("room-1", "secret" * 2000))
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.attributes == MESSAGING | {"error.type": "InvalidMessage"}
    assert span.events == ()


def test_a_repeat_keeps_the_first_context(spans: InMemorySpanExporter) -> None:
    """It enqueues nothing: what is delivered belongs to the first call's trace."""
    with fake_producer(CHANNELS) as producer:
        for _ in range(2):
            producer.send("support", HELLO, idempotency_key="order-7")
        first, again = (traceparent(span).encode() for span in spans.get_finished_spans())
        assert list(details(producer).values()) == [first] != [again]


def test_a_held_message_keeps_its_context_when_it_is_released(spans: InMemorySpanExporter) -> None:
    """The hold is in its details, the context beside them."""
    with fake_producer(CHANNELS) as producer:
        receipt = producer.send("support", HELLO, hold=Hold("check|7", 60))
        context = traceparent(spans.get_finished_spans()[0]).encode()
        assert producer.decide("support", "check|7", "allow") == "allow"
        assert details(producer)[f"{receipt.message_id}:trace".encode()] == context
        producer.cancel("support", receipt.message_id)
        assert details(producer) == {}


def test_without_a_sampled_span_no_context_is_written() -> None:
    """Off, or not sampled: the same bytes in Redis, but children of the span share its decision."""
    with fake_producer(CHANNELS) as producer:
        producer.send("support", HELLO)
        with recorded(ALWAYS_OFF) as exporter:
            producer.send("support", HELLO)
        assert exporter.get_finished_spans() == ()
        assert details(producer) == {}


def test_without_a_provider_a_send_is_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor without the API: nobody builds anything for a span that nobody records."""
    assert tracing.sending("support") is tracing.NO_SPAN
    describe(tracing.NO_SPAN, [])
    monkeypatch.setattr(tracing, "INSTALLED", False)
    with recorded():
        assert tracing.sending("support") is tracing.NO_SPAN
        tracing.note({"pushlane.verdict": "allow"})


@pytest.mark.parametrize(
    "context",
    [b"", b"x", b"00-" + b"0" * 32 + b"-0000000000000001-01", b"00-" + b"g" * 32 + b"-0000000000000001-01"],
)
def test_a_context_that_is_none_makes_no_span(spans: InMemorySpanExporter, context: bytes) -> None:
    """Another release, or another program, may have written it."""
    assert tracing.pushing("support", {"m": context}, {}) is tracing.NO_SPAN
    assert spans.get_finished_spans() == ()


class Broken(SpanProcessor):
    """A program's own processor that fails at the beginning, or at the end, of each span."""

    def __init__(self, *, at_start: bool) -> None:
        self._at_start = at_start

    def on_start(self, span: object, parent_context: object = None) -> None:  # noqa: ARG002 # the signature
        """Fails, or not."""
        if self._at_start:
            raise RuntimeError("no such host")

    def on_end(self, span: object) -> None:  # noqa: ARG002 # the signature
        """The same."""
        if not self._at_start:
            raise RuntimeError("no such host")


@pytest.mark.parametrize("at_start", [True, False])
def test_a_program_whose_tracing_fails_sends_all_the_same(at_start: bool) -> None:  # noqa: FBT001 # a parameter of the test
    """A message that Redis has accepted must not look refused; and what else goes wrong keeps its own error."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken(at_start=at_start))
    with mock.patch.object(trace, "_TRACER_PROVIDER", provider), fake_producer(CHANNELS) as producer:
        assert producer.send("support", HELLO).sequence == 1
        with pytest.raises(InvalidMessage):
            producer.send("support", RoomMessage("", "Hello"))
    assert not trace.get_current_span().get_span_context().is_valid
