"""The OpenAPI document: it is one, it is not for everybody, and what is served is what it says."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.callback import Callback, callback, moderation
from support.channels import register
from support.fuzzing import fuzz
from support.webhook import bearer, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

KEY = "k3y-of-billing"
KEYS = {"PUSHLANE_API_KEYS__BILLING__KEY": KEY, "PUSHLANE_API_KEYS__BILLING__CHANNELS": "support,crm"}
PATHS = {
    "/cinnox/webhook",
    "/healthz",
    "/metrics",
    "/readyz",
    "/tencent/callback",
    "/v1/channels/{channel}/decisions/{key}",
    "/v1/channels/{channel}/messages",
    "/v1/channels/{channel}/messages/{message_id}",
}
OPERATIONS = 9


@pytest.fixture
def serving(redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Callback]:
    """A callback that serves everything, with a channel of each kind."""
    register(redis)
    register(redis, "crm", kind="third_party")
    with callback(tmp_path, redis_url, {**moderation(tmp_path), **webhook(), **KEYS}) as running:
        yield running


def document(running: Callback) -> dict[str, Any]:
    """What /openapi.json says."""
    answer = httpx.get(f"{running.url}/openapi.json", headers={"Authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    told: dict[str, Any] = answer.json()
    return told


def examples(node: Any) -> list[Any]:  # noqa: ANN401 # any part of a document
    """Every example in it."""
    if isinstance(node, list):
        return [one for item in node for one in examples(item)]
    if not isinstance(node, dict):
        return []
    own = [one["value"] for one in node.get("examples", {}).values()] if isinstance(node.get("examples"), dict) else []
    return own + [one for item in node.values() for one in examples(item)]


def test_the_document_is_openapi_and_has_every_route(serving: Callback) -> None:
    """With an example for every body; only who has an API key may read it."""
    told = document(serving)
    OpenAPIV31SpecValidator(told).validate()
    assert set(told["paths"]) == PATHS
    operations = [operation for path in told["paths"].values() for operation in path.values()]
    assert len(operations) == OPERATIONS
    for operation in operations:
        succeeded = next(answer for status, answer in operation["responses"].items() if status[0] == "2")
        for part in (operation.get("requestBody"), succeeded):
            assert part is None or all(one["examples"] for one in part["content"].values()), operation["operationId"]
    refused = httpx.get(f"{serving.url}/openapi.json")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "paths" not in refused.json()


def test_the_examples_are_true(serving: Callback) -> None:
    """Each message and decision that the document shows is accepted as it stands."""
    told = document(serving)
    with httpx.Client(base_url=serving.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        post = told["paths"]["/v1/channels/{channel}/messages"]["post"]
        for body in examples(post["requestBody"]):
            channel = "crm" if "user_id" in body else "support"
            assert client.post(f"/v1/channels/{channel}/messages", json=body).status_code == 202, body
        post = told["paths"]["/v1/channels/{channel}/decisions/{key}"]["post"]
        for number, body in enumerate(examples(post["requestBody"])):
            answer = client.post(f"/v1/channels/support/decisions/{number}", json=body)
            assert answer.json()["verdict"] == body["verdict"], body
        for body in examples(told["paths"]["/cinnox/webhook"]["post"]["requestBody"]):
            assert client.post("/cinnox/webhook", json=body, headers=bearer()).status_code == 200, body


def test_a_callback_describes_nothing_that_it_does_not_serve(redis_url: str, tmp_path: Path) -> None:
    """Neither moderation nor the webhook, without their settings."""
    with callback(tmp_path, redis_url, KEYS) as running:
        assert set(document(running)["paths"]) == PATHS - {"/tencent/callback", "/cinnox/webhook"}


def found_nothing(serving: Callback, folder: Path, *words: str) -> Counter[tuple[str, str]]:
    """Runs schemathesis; how often the callback answered to which kind of address with which status."""
    ended = fuzz(serving, KEY, folder, *words)
    assert ended.code == 0, ended.out
    assert f"Tested: {OPERATIONS}" in ended.out, ended.out
    log = serving.log.read_text()
    assert "Traceback" not in log
    return Counter(re.findall(r"path=\S*(callback|webhook|messages|decisions)\S* status=(\d+)", log))


def test_schemathesis_finds_nothing_in_a_few_seconds(serving: Callback, tmp_path: Path) -> None:
    """All of its checks on every route, the chat platform's question among them, at the edges of every schema."""
    words = ("--max-examples", "5", "--phases", "examples,coverage,fuzzing", "--seed", "1")
    seen = found_nothing(serving, tmp_path, *words)
    assert {status for kind, status in seen if kind == "messages"} >= {"202", "401", "404", "405", "409", "415", "422"}
    assert {status for kind, status in seen if kind == "decisions"} >= {"200", "401", "405", "415", "422"}
    assert {status for kind, status in seen if kind == "callback"} == {"200", "401", "405"}
    assert {status for kind, status in seen if kind == "webhook"} >= {"200", "400", "401", "405"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing_in_minutes(serving: Callback, tmp_path: Path) -> None:
    """The same with random requests and random sequences of them, others each time."""
    seen = found_nothing(serving, tmp_path, "--max-examples", "300")
    for answered in [("messages", "202"), ("decisions", "200"), ("callback", "200"), ("webhook", "200")]:
        assert seen[answered] > 30, seen
