"""The spans of a callback's requests, as a collector gets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.callback import C2C, Callback, c2c, callback, moderation, query
from support.channels import register
from support.collector import Collector, collector
from support.http_api import HELLO, KEYS, SUPPORT, Api
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLED = f"{TRACE_ID}-00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{CALLED}-01"}
SERVER, PRODUCER = 2, 4


@pytest.fixture
def spans() -> Iterator[Collector]:
    """A collector."""
    with collector() as taken:
        yield taken


@pytest.fixture
def traced(tmp_path: Path, redis_url: str, redis: Redis, spans: Collector) -> Iterator[Callback]:
    """A callback that exports spans and logs JSON."""
    register(redis)
    settings = {**moderation(tmp_path), **KEYS, **spans.environment, "PUSHLANE_LOG_FORMAT": "json"}
    with callback(tmp_path, redis_url, settings) as running:
        yield running


def requests(log: Path) -> list[dict[str, Any]]:
    """The log's lines about requests."""
    lines = (json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return [line for line in lines if line["event"] == "request"]


def test_a_request_of_a_service_goes_on_with_its_trace(traced: Callback, spans: Collector, redis: Redis) -> None:
    """Its span is named after the route; the send is below it, and the message takes that one's context along."""
    with Api(traced.url) as api:
        message_id = api.post(SUPPORT, json=HELLO, headers=CALLER).json()["message_id"]
    wait_until(lambda: len(spans.received) == 2, "the spans")
    ((request,), (sent,)) = spans.named("POST /v1/channels/{channel}/messages"), spans.named("send support")
    assert (request.service, request.span.kind, sent.span.kind) == ("pushlane-callback", SERVER, PRODUCER)
    assert {request.span.trace_id.hex(), sent.span.trace_id.hex()} == {TRACE_ID}
    assert request.span.parent_span_id.hex() == "00f067aa0ba902b7"
    assert sent.span.parent_span_id == request.span.span_id
    assert request.attributes["http.response.status_code"] == 202
    stored: Any = redis.hget("pushlane:1:{support}:details", f"{message_id}:trace")
    assert stored.decode()[3:52] == f"{TRACE_ID}-{sent.span.span_id.hex()}"
    (line,) = [line for line in requests(traced.log) if line["path"] == SUPPORT]
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, request.span.span_id.hex())


def test_a_question_tells_verdict_and_policy_and_neither_text_nor_signature(traced: Callback, spans: Collector) -> None:
    """What people wrote, and what would let somebody ask in their name, is in no span."""
    with httpx.Client() as client:
        traced.ask(client, c2c(1, "to the casino"))
    (span,) = wait_until(lambda: spans.named("POST /tencent/callback"), "the span")
    assert (span.attributes["pushlane.verdict"], span.attributes["pushlane.policy"]) == ("forbid", "blocked_words")
    assert not {"casino", "Sign", "alice"} & set(str(spans.received).replace('"', " ").split())


def test_a_stranger_adds_nothing_to_a_trace_of_ours(traced: Callback, spans: Collector) -> None:
    """Whoever asks without an API key, or with a wrong one, gets a trace of his own that names the one he claims."""
    with httpx.Client(headers=CALLER) as client:
        traced.ask(client, c2c(1, "hello"))
        client.post(f"{traced.url}{SUPPORT}", json=HELLO, headers={"Authorization": "Bearer wrong"})
    wait_until(lambda: len(spans.received) == 2, "the spans")
    for one in spans.received:
        assert (one.span.parent_span_id, one.span.trace_id.hex() == TRACE_ID) == (b"", False)
        assert [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in one.span.links] == [CALLED]


def test_a_stranger_does_not_decide_what_is_recorded(
    tmp_path: Path, redis_url: str, redis: Redis, spans: Collector
) -> None:
    """With a sampler that begins no trace, only a service's goes on, whatever a header says."""
    register(redis)
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    settings = {**moderation(tmp_path), **KEYS, **spans.environment, **sampler}
    with callback(tmp_path, redis_url, settings) as running:
        with httpx.Client(headers=CALLER) as client:
            running.ask(client, c2c(1, "hello"))
        with Api(running.url) as api:
            api.post(SUPPORT, json=HELLO, headers=CALLER)
    assert sorted(one.name for one in spans.received) == ["POST /v1/channels/{channel}/messages", "send support"]


def test_an_invented_path_or_method_is_no_name(traced: Callback, spans: Collector) -> None:
    """Names are few, whatever somebody sends; health checks have no span."""
    with httpx.Client(base_url=traced.url) as client:
        client.request("PROPFIND", "/folder")
        client.get("/no/such/path", headers={"traceparent": "nonsense"})
        client.get("/readyz")
        client.post("/tencent/callback", params=query(C2C, token="wrong"))
    wait_until(lambda: len(spans.received) >= 3, "the spans")
    assert [(span.name, span.attributes.get("http.route")) for span in spans.received] == [
        ("_OTHER", None),
        ("GET", None),
        ("POST /tencent/callback", "/tencent/callback"),
    ]


def test_a_callback_that_stops_sends_its_last_spans(
    tmp_path: Path, redis_url: str, redis: Redis, spans: Collector
) -> None:
    """The exporter would send them in an hour."""
    register(redis)
    settings = {**KEYS, **spans.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    with callback(tmp_path, redis_url, settings) as running:
        with Api(running.url) as api:
            api.post(SUPPORT, json=HELLO)
        assert spans.received == []
    assert sorted(span.name for span in spans.received) == ["POST /v1/channels/{channel}/messages", "send support"]
