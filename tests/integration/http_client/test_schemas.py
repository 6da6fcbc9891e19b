"""Every request that leaves is one that the API's own page describes: method, path, headers and body."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.recording import Recording, recording
from support.stack import FakeApi, Stack, channel_settings, third_party_settings
from support.waiting import wait_until

from pushlane import Producer, RoomMessage, ThirdPartyMessage
from pushlane.message import Message

SCHEMAS = Path(__file__).parents[2] / "schemas"
STRANGE = ["plain", 'quo"te\\', "ü 漢 🙂", "{}[]", "a/b?c#d"]


def validator(name: str) -> Draft202012Validator:
    """The schema of one kind's requests."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture
def recorded() -> Iterator[Recording]:
    """An API that refuses what has BAD in it, and each seventh request of all others with a 503."""
    numbers = iter(range(10_000))
    one_at_a_time = threading.Lock()

    def status(body: bytes) -> int:
        if b"BAD" in body:
            return 400
        with one_at_a_time:
            return 503 if next(numbers) % 7 == 0 else 200

    with recording(status) as kept:
        yield kept


def rooms() -> list[Message]:
    """Texts in every shape that the library takes, one room of them with one that is refused."""
    eids: list[tuple[str | None, str | None]] = [(None, None), ("s", None), (None, "r"), ("s", 'r"\\')]
    messages: list[Message] = [
        RoomMessage(f"room {name}", f"{name} {n}", sender_eid=sender, receiver_eid=receiver)
        for name in STRANGE
        for sender, receiver in eids
        for n in range(12)
    ]
    messages += [RoomMessage("long", "\U0001f600" * 5000), RoomMessage("i" * 256, "\x00\n\u2028")]
    return [*messages, *(RoomMessage("poison", "BAD" if n == 5 else f"good {n}") for n in range(10))]


def objects() -> list[Message]:
    """Objects in every shape, one of them refused."""
    shapes: list[dict[str, object]] = [
        {},
        {"type": 1, "text": "hi"},
        {"id": 2**64, "f": 1.0, "n": None, "a": [[], {}]},
        {"": "\x00\u2028"},
        {"x": "y" * 60_000},
        {"text": "BAD"},
    ]
    return [ThirdPartyMessage(f"user {name}", shape) for name in STRANGE for shape in shapes]


@pytest.mark.parametrize("schema", ["message_push", "third_party"])
def test_every_request_that_leaves_is_as_documented(
    schema: str, recorded: Recording, redis_url: str, producer: Producer, tmp_path: Path
) -> None:
    """First pushes, retries and the halves of a refused batch alike."""
    own: dict[str, Any] = {"name": "partner", "backoff_base_s": 0.05, "breaker_after": 1000, "token": "t0ken~!"}
    if schema == "third_party":
        settings = third_party_settings("", url=f"{recorded.url}/from%20CINNOX/webhookUrl", **own)
    else:
        settings = channel_settings(recorded.url, app_id="an app/ü?#", **own)
    messages = objects() if schema == "third_party" else rooms()
    stack = Stack(redis_url, FakeApi(recorded.url), tmp_path, settings)
    try:
        stack.worker("-c", "1").ready()
        producer.send_many("partner", messages)
        wait_until(lambda: stack.depth("partner") == 0, "all of them to be settled", 40)
    finally:
        stack.close()
    assert len(recorded.requests) > 30
    assert {one["status"] for one in recorded.requests} == {200, 400, 503}
    _as_documented(validator(schema), recorded)


def _as_documented(check: Draft202012Validator, recorded: Recording) -> None:
    for status in (200, 400, 503):
        for request in recorded.answered(status):
            check.validate(request)
            assert request["headers"]["authorization"] == "Bearer t0ken~!"


def a_request(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 # whatever breaks a schema
    """A right request of either kind with some of its parts replaced."""
    headers = {"host": "h", "authorization": "Bearer t", "content-type": "application/json"}
    headers |= {"accept": "application/json", "content-length": "9"}
    return {"method": "POST", "headers": headers, **changes}


TEXT = {"type": "text", "text": "x"}
PUSH: dict[str, Any] = {"path": "/v1/api/apps/a/message-push", "body": {"roomID": "r", "messages": [TEXT]}}
OBJECT: dict[str, Any] = {"path": "/webhookUrl", "body": {"userId": "u", "message": {}}}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ("message_push", PUSH, {"method": "PUT"}),
        ("message_push", PUSH, {"path": "/v1/api/apps/a/b/message-push"}),
        ("message_push", PUSH, {"headers": {}}),
        ("message_push", PUSH, {"body": {"roomID": "r", "messages": []}}),
        ("message_push", PUSH, {"body": {"roomID": "r", "messages": [TEXT] * 11}}),
        ("message_push", PUSH, {"body": {"roomID": "r", "messages": [{**TEXT, "text": "x" * 5001}]}}),
        (
            "message_push",
            PUSH,
            {"body": {**PUSH["body"], "senderEID": None}},
        ),
        ("third_party", OBJECT, {"method": "GET"}),
        ("third_party", OBJECT, {"headers": {}}),
        ("third_party", OBJECT, {"body": {"userId": "u", "message": "x"}}),
        ("third_party", OBJECT, {"body": {"userId": "", "message": {}}}),
        ("third_party", OBJECT, {"body": {"userId": "u", "message": {}, "cid": "c"}}),
    ],
)
def test_the_schemas_refuse_what_is_not_documented(schema: str, right: dict[str, Any], wrong: dict[str, Any]) -> None:
    """A schema that takes everything would prove nothing."""
    assert validator(schema).is_valid(a_request(**right))
    assert not validator(schema).is_valid(a_request(**right | wrong))
