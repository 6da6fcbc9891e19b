"""Enqueueing over HTTP: what is accepted, as which message, and what has become of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.channels import claim, push
from support.http_api import HELLO, SUPPORT, Api, problem, stored
from support.shell import show

from pushlane import IdempotencyConflict, Producer, RoomMessage
from pushlane.message_record import FIELDS
from pushlane.outcome import Outcome
from pushlane.service.json_fields import as_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def producer(redis_url: str) -> Iterator[Producer]:
    """The library on the same queue."""
    with Producer(redis_url) as producer:
        yield producer


def test_a_key_and_a_message_are_one_message_over_http_and_python(api: Api, producer: Producer) -> None:
    """The same receipt whichever comes first, and with another body neither takes it."""
    first = producer.send("support", RoomMessage("r", "hello"), idempotency_key="order-7")
    second = api.post(SUPPORT, json=HELLO, headers={"Idempotency-Key": "order-7"})
    assert (second.status_code, second.json()) == (202, as_fields(first) | {"duplicate": True})
    third = api.post(SUPPORT, json=HELLO | {"idempotency_key": "order-8"})
    fourth = producer.send("support", RoomMessage("r", "hello"), idempotency_key="order-8")
    assert as_fields(fourth) == third.json() | {"duplicate": True}
    told = problem(api.post(SUPPORT, json={**HELLO, "text": "bye", "idempotency_key": "order-7"}), 409)
    assert (told["message_id"], "order-7" in told["detail"]) == (first.message_id, True)
    with pytest.raises(IdempotencyConflict):
        producer.send("support", RoomMessage("r", "bye"), idempotency_key="order-8")


def test_a_lists_key_is_that_of_send_many(api: Api, producer: Producer) -> None:
    """Element i has the key {key}/{i}."""
    first = producer.send_many("support", [RoomMessage("r", "one"), RoomMessage("q", "two")], idempotency_key="k")
    body = [{"room_id": "r", "text": "one"}, {"room_id": "q", "text": "two", "idempotency_key": "k/1"}]
    second = api.post(SUPPORT, json=body, headers={"Idempotency-Key": "k"})
    assert second.status_code == 202
    assert second.json() == {"receipts": [as_fields(receipt) | {"duplicate": True} for receipt in first]}


def test_a_message_is_stored_as_python_stores_it(api: Api, producer: Producer, redis: Redis) -> None:
    """Byte for byte, but for its number and its times."""
    text = "h\u00e9llo \u2713 \u0001 \U0001f600"
    over_http = api.post(SUPPORT, json={"room_id": "r\u00f6m", "text": text, "sender_eid": "s"}).json()["message_id"]
    message = RoomMessage("r\u00f6m", text, sender_eid="s")
    over_python = producer.send("support", message).message_id
    records = [redis.get(f"pushlane:1:{{support}}:message:{one}") for one in (over_http, over_python)]
    assert records[0][FIELDS["fingerprint"].start :] == records[1][FIELDS["fingerprint"].start :]  # type: ignore[index] # both are there


def test_options_come_with_the_message(api: Api, redis_url: str) -> None:
    """When it joins, how long it may be delivered, and on whom it waits; an object for a user as well."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    states = [
        api.post(SUPPORT, json=HELLO | options).json()["state"]
        for options in ({"not_before": later}, {"hold": {"key": "k", "timeout_s": 60}}, {"expires_in_s": 60.5})
    ]
    assert states == ["scheduled", "held", "queued"]
    answer = api.post("/v1/channels/crm/messages", json={"user_id": "u", "message": {"a": [1.5, None]}})
    assert (answer.status_code, answer.json()["conversation"]) == (202, "u")
    (taken,) = claim(redis_url, "crm")
    assert taken.records[0].endswith(b'{"a":[1.5,null]}')


def test_a_list_keeps_its_order_with_nothing_between(api: Api, redis: Redis) -> None:
    """A thousand of them, in one go; one more is refused."""
    body = [{"room_id": f"r{number % 7}", "text": str(number)} for number in range(1000)]
    receipts = api.post(SUPPORT, json=body).json()["receipts"]
    assert [receipt["sequence"] for receipt in receipts] == list(range(1, 1001))
    assert [receipt["conversation"] for receipt in receipts] == [one["room_id"] for one in body]
    told = problem(api.post(SUPPORT, json=[*body, HELLO]), 422)
    assert (told["field"], told["limit"]) == ("messages", 1000)
    assert len(stored(redis)) == 1000


def test_a_list_is_accepted_whole_or_not_at_all(api: Api, producer: Producer, redis: Redis) -> None:
    """A wrong element and one whose key is another message's keep out all the others."""
    producer.send("support", RoomMessage("r", "first"), idempotency_key="taken")
    told = problem(api.post(SUPPORT, json=[HELLO, HELLO | {"text": "s3cret" * 1000}, HELLO]), 422)
    assert {name: told[name] for name in ("index", "field", "limit")} == {"index": 1, "field": "text", "limit": 5000}
    assert "6000" in told["problem"]
    problem(api.post(SUPPORT, json=[HELLO, HELLO | {"idempotency_key": "taken"}]), 409)
    problem(api.post(SUPPORT, json=[HELLO, {"user_id": "u", "message": {}}]), 422)
    assert len(stored(redis)) == 1


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_taken_however_it_is_called(api: Api, kind: str) -> None:
    """In UTF-8, which is the only encoding that JSON has."""
    body = json.dumps(HELLO | {"text": "h\u00e9"}, ensure_ascii=False).encode()
    assert api.post(SUPPORT, content=body, headers={"Content-Type": kind}).status_code == 202


def test_a_body_without_a_content_type_is_taken_for_json(api: Api) -> None:
    """There is nothing else that it could be."""
    assert api.post(SUPPORT, content=json.dumps(HELLO).encode()).status_code == 202


# --- what has become of it -------------------------------------------------------------------------------------------


def test_where_a_message_is_is_told_as_the_command_tells_it(api: Api, redis_url: str) -> None:
    """The same JSON, without what the message says; HEAD has the same head."""
    message_id = api.post(SUPPORT, json=HELLO | {"text": "s3cret"}).json()["message_id"]
    answer = api.get(f"{SUPPORT}/{message_id}")
    assert (answer.status_code, answer.json()) == (200, show(redis_url, "message", "support", message_id))
    assert "s3cret" not in answer.text
    head = api.head(f"{SUPPORT}/{message_id}")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(answer.content)))


def test_a_message_is_cancelled_while_it_waits(api: Api) -> None:
    """200 once; then it is final, which is a conflict, and its status says so."""
    message_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
    answer = api.delete(f"{SUPPORT}/{message_id}")
    assert (answer.status_code, answer.json()) == (200, {"message_id": message_id, "result": "cancelled"})
    assert problem(api.delete(f"{SUPPORT}/{message_id}"), 409)["result"] == "already_final"
    assert api.get(f"{SUPPORT}/{message_id}").json()["state"] == "cancelled"


def test_a_cancelled_message_of_unknown_outcome_may_be_delivered(api: Api, redis_url: str) -> None:
    """The answer says that it is too late to be sure."""
    message_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
    push(redis_url, Outcome.UNKNOWN, dead="0")
    assert api.delete(f"{SUPPORT}/{message_id}").json()["result"] == "maybe_delivered"


def test_what_is_on_its_way_or_delivered_is_not_cancelled(api: Api, redis_url: str) -> None:
    """409, and which of the two it is."""
    message_id = api.post(SUPPORT, json=HELLO).json()["message_id"]
    other_id = api.post(SUPPORT, json={"room_id": "other", "text": "x"}).json()["message_id"]
    push(redis_url)
    api.post(SUPPORT, json=HELLO)
    assert problem(api.delete(f"{SUPPORT}/{message_id}"), 409)["result"] == "already_final"
    late_id = api.post(SUPPORT, json={"room_id": "late", "text": "x"}).json()["message_id"]
    claim(redis_url)
    assert problem(api.delete(f"{SUPPORT}/{late_id}"), 409)["result"] == "in_flight"
    assert api.get(f"{SUPPORT}/{late_id}").json()["state"] == "in_flight"
    assert api.get(f"{SUPPORT}/{other_id}").json()["state"] == "delivered"
