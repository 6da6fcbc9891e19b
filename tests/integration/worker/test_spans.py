"""The spans of real workers, as a collector gets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from support.collector import Collector, collector
from support.spans import recorded, traceparent
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ERROR = 2
CLIENT = 3


@pytest.fixture
def spans() -> Iterator[Collector]:
    """A collector."""
    with collector() as taken:
        yield taken


@pytest.fixture
def start(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Callable[[Mapping[str, str]], Stack]]:
    """Makes a stack whose workers have these variables, and log JSON."""
    stacks = []

    def make(more: Mapping[str, str]) -> Stack:
        channel = channel_settings(api.url, backoff_base_s=0.05)
        stacks.append(Stack(redis_url, api, tmp_path, {**channel, "PUSHLANE_LOG_FORMAT": "json", **more}))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.close()


def events(log: Path, name: str) -> list[dict[str, Any]]:
    """The log's lines of this event."""
    lines = (json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return [line for line in lines if line["event"] == name]


def send(producer: Producer, *messages: RoomMessage) -> dict[str, str]:
    """Sends each of them in a trace of its own; trace and span by the message's id."""
    with recorded() as exporter:
        ids = [producer.send("support", message).message_id for message in messages]
        contexts = [traceparent(span).removeprefix("00-")[:49] for span in exporter.get_finished_spans()]
        return dict(zip(ids, contexts, strict=True))


def test_a_message_that_was_retried_twice_is_one_trace(
    start: Callable[[Mapping[str, str]], Stack], spans: Collector, api: FakeApi, producer: Producer
) -> None:
    """The producer's span has three pushes below it, each linked to it; two of them failed. The log has their ids."""
    worker = start(spans.environment).worker("-c", "1").ready()
    api.control(fail={"status": 503, "times": 2})
    ((message_id, context),) = send(producer, RoomMessage("room-1", "hello secret")).items()
    wait_until(lambda: len(spans.named("push support")) == 3, "three spans")
    pushes = spans.named("push support")
    assert [push.links for push in pushes] == [{message_id: context}] * 3
    assert {f"{push.span.trace_id.hex()}-{push.span.parent_span_id.hex()}" for push in pushes} == {context}
    assert {(push.service, push.span.kind) for push in pushes} == {("pushlane-worker", CLIENT)}
    told = ("pushlane.attempt", "pushlane.outcome", "http.response.status_code", "error.type")
    assert [tuple(push.attributes.get(name) for name in told) for push in pushes] == [
        (1, "failed", 503, "failed"),
        (2, "failed", 503, "failed"),
        (3, "delivered", 200, None),
    ]
    assert [push.span.status.code for push in pushes] == [ERROR, ERROR, 0]
    assert pushes[0].attributes["server.address"] == "127.0.0.1"
    assert "secret" not in str(spans.received)
    wait_until(lambda: len(events(worker.log, "push.done")) == 3, "the lines of the pushes")
    assert [(line["trace_id"], line["span_id"]) for line in events(worker.log, "push.done")] == [
        (push.span.trace_id.hex(), push.span.span_id.hex()) for push in pushes
    ]


def test_a_push_is_linked_to_each_of_its_messages(
    start: Callable[[Mapping[str, str]], Stack], spans: Collector, producer: Producer
) -> None:
    """Messages of several traces, and of none, go in one push: in the trace of the first, linked to all."""
    stack = start(spans.environment)
    worker = stack.worker("-c", "1").ready()
    worker.stop()
    plain = producer.send("support", RoomMessage("room-1", "not traced")).message_id
    sent = send(producer, *[RoomMessage("room-1", f"hello {number}") for number in range(3)])
    stack.worker("-c", "1").ready()
    (push,) = wait_until(lambda: spans.named("push support"), "the push")
    assert push.links == sent
    assert plain not in sent
    assert push.span.trace_id.hex() == next(iter(sent.values())).split("-")[0]
    assert push.attributes["messaging.batch.message_count"] == 4


def test_a_worker_that_stops_sends_its_last_spans(
    start: Callable[[Mapping[str, str]], Stack], spans: Collector, producer: Producer, api: FakeApi
) -> None:
    """Its pool processes skip Python's own shutdown, and the exporter would send them in an hour."""
    stack = start({**spans.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"})
    worker = stack.worker("-c", "1").ready()
    send(producer, RoomMessage("room-1", "hello"))
    wait_until(lambda: api.record().distinct == 1, "the message to arrive")
    assert spans.received == []
    assert worker.stop() == 0
    assert [push.name for push in spans.received] == ["push support"]


def test_a_collector_that_is_away_costs_nothing_but_spans(
    start: Callable[[Mapping[str, str]], Stack], spans: Collector, producer: Producer, api: FakeApi
) -> None:
    """Deliveries go on, and the log has one line when it goes and one when it is back."""
    with collector() as gone:
        port = gone.port
    stack = start(
        {
            **spans.environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "4",
        }
    )
    worker = stack.worker("-c", "1").ready()
    for number in range(3):
        send(producer, RoomMessage("room-1", f"hello {number}"))
        wait_until(lambda: events(worker.log, "spans.unsent"), "the line of the outage")
    wait_until(lambda: api.record().distinct == 3, "all messages to arrive")
    with collector(port) as back:

        def again() -> bool:
            send(producer, RoomMessage("room-2", "hello"))
            return bool(back.received)

        wait_until(again, "spans to arrive")
        wait_until(lambda: events(worker.log, "spans.sent_again"), "the line of its end")
    (line,) = events(worker.log, "spans.unsent")
    assert "refused" in line["problem"]
    assert worker.stop() == 0


@pytest.mark.parametrize(
    "off",
    [
        {},
        pytest.param({"OTEL_SDK_DISABLED": "true"}, marks=pytest.mark.long),
        pytest.param({"OTEL_TRACES_EXPORTER": "none"}, marks=pytest.mark.long),
    ],
)
def test_a_worker_that_is_not_asked_to_exports_nothing(
    start: Callable[[Mapping[str, str]], Stack],
    spans: Collector,
    producer: Producer,
    api: FakeApi,
    off: Mapping[str, str],
) -> None:
    """Messages with a context are delivered as any others, and its log has no ids."""
    stack = start({**(spans.environment if off else {}), **off})
    worker = stack.worker("-c", "1").ready()
    send(producer, RoomMessage("room-1", "hello"))
    wait_until(lambda: api.record().distinct == 1, "the message to arrive")
    (line,) = wait_until(lambda: events(worker.log, "push.done"), "the line of the push")
    assert "trace_id" not in line
    assert worker.stop() == 0
    assert spans.received == []


def test_a_push_of_messages_without_context_is_not_recorded(
    start: Callable[[Mapping[str, str]], Stack], spans: Collector, producer: Producer, api: FakeApi
) -> None:
    """Who samples one trace in a hundred gets one push in a hundred."""
    worker = start(spans.environment).worker("-c", "1").ready()
    producer.send("support", RoomMessage("room-1", "hello"))
    wait_until(lambda: api.record().distinct == 1, "the message to arrive")
    assert worker.stop() == 0
    assert spans.received == []
    assert not trace.get_current_span().get_span_context().is_valid
