"""Errors as the answers that tell them."""

from __future__ import annotations

import json
from typing import NoReturn

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from support.http_api import BILLING, problem

from pushlane.callback.app import make_app
from pushlane.callback.http.messages import Messages
from pushlane.callback.http.problems import Busy, WrongMediaType, check_is_json, refusal
from pushlane.callback.http.web import BodyEncoded, BodyRefused, BodyTooLarge, BodyTooSlow
from pushlane.callback.settings import ApiKeySettings, CallbackSettings
from pushlane.errors import (
    IdempotencyConflict,
    InvalidMessage,
    NewerChannel,
    PushlaneError,
    QueueFull,
    QueueUnavailable,
    SettingsError,
    UnknownChannel,
)


@pytest.mark.parametrize(
    ("error", "status", "facts"),
    [
        (WrongMediaType(), 415, {}),
        (Busy(), 503, {}),
        (BodyTooSlow("did not arrive within 5 s"), 408, {}),
        (BodyTooLarge("has more than 4194304 bytes"), 413, {}),
        (BodyEncoded("is compressed"), 415, {}),
        (InvalidMessage("text", "is wrong"), 422, {"field": "text", "problem": "is wrong"}),
        (
            InvalidMessage("text", "is wrong", limit=5, index=0),
            422,
            {"field": "text", "problem": "is wrong", "limit": 5, "index": 0},
        ),
        (UnknownChannel("support"), 404, {}),
        (IdempotencyConflict("k", "id"), 409, {"message_id": "id"}),
        (QueueFull("support", "why", 0.2), 429, {}),
        (QueueUnavailable("Error 111 connecting to redis.internal:6379"), 503, {}),
        (NewerChannel("support", 3), 503, {}),
        (QueueUnavailable("Timeout", "id"), 503, {"message_id": "id"}),
    ],
    ids=repr,
)
def test_each_error_of_a_request_has_its_status_and_its_facts(
    error: PushlaneError | BodyRefused | WrongMediaType | Busy, status: int, facts: dict[str, object]
) -> None:
    """And nothing of what only operators should see."""
    answer = refusal(error, "again")
    told = json.loads(bytes(answer.body))
    assert (answer.status_code, told.pop("status")) == (status, status)
    assert {name: told[name] for name in set(told) - {"title", "detail"}} == facts
    assert "redis.internal" not in told["detail"]
    assert ("retry-after" in answer.headers) is (status in {429, 503})
    assert answer.headers.get("retry-after", "1") == "1"
    assert ("close" in answer.headers.get("connection", "")) is (status in {408, 413})


def test_what_no_request_can_cause_is_none_of_its_errors() -> None:
    """It stays what it is: a defect, and not the caller's fault."""
    with pytest.raises(SettingsError):
        refusal(SettingsError("NAME", "is wrong"), "again")


@pytest.mark.parametrize("values", [[b"text/plain"], [b"application/json", b"application/json"], [b";"], [b""]])
def test_only_json_is_json(values: list[bytes]) -> None:
    """Two types could be read as either."""
    with pytest.raises(WrongMediaType):
        check_is_json(Request({"type": "http", "headers": [(b"content-type", value) for value in values]}))


async def test_a_defect_of_ours_is_a_problem_without_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """500; what went wrong is in the log alone."""

    async def broken(*_: object) -> NoReturn:
        raise AttributeError("'NoneType' object has no attribute 'enqueue'")

    monkeypatch.setattr(Messages, "enqueue", broken)
    keys = {"billing": ApiKeySettings(key=SecretStr(BILLING), key_file=None, channels=("support",))}
    settings = CallbackSettings.model_construct(redis_url="redis://127.0.0.1:1/0", moderation=None, api_keys=keys)
    app = make_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://callback") as client:
        answer = await client.post("/v1/channels/support/messages", json={})
    problem(answer, 500)
    assert "NoneType" not in answer.text
