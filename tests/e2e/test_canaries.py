"""A full run with marked tokens and texts: what was told in confidence is found nowhere else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from celery import Celery
from support.callback import APP, Callback, c2c, callback, moderation
from support.command import pushlane
from support.flower import flower
from support.stack import Stack, channel_settings, fake_api, third_party_settings
from support.waiting import wait_until
from support.webhook import incoming, webhook

from pushlane import Producer, PushlaneError, RoomMessage, ThirdPartyMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MARK = "canary"
API_TOKEN, MODERATION_TOKEN = f"{MARK}-token-of-the-chat-api", f"{MARK}-token-of-the-callback"
WEBHOOK_TOKEN, API_KEY, WRONG = f"{MARK}-token-of-the-webhook", f"{MARK}-key-of-a-service", f"{MARK}-wrong-token"
TEXT = f"{MARK} text"
TOO_LONG = TEXT * 1000
PAGES = ("/", "/tasks", "/workers", "/broker", "/api/tasks?limit=10000", "/api/workers?refresh=1", "/metrics")

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


@pytest.fixture
def stack(redis_url: str, tmp_path: Path) -> Iterator[Stack]:
    """A worker that logs all it can, for a channel of each kind; the API fails at times and refuses one text."""
    with fake_api(token=API_TOKEN, fail={"rate": 0.1}, reject_text=f"{TEXT} 7") as api:
        settings = channel_settings(api.url, token=API_TOKEN, backoff_base_s=0.1, max_queued=200)
        settings |= third_party_settings(api.url, token=API_TOKEN) | {"PUSHLANE_LOG_LEVEL": "DEBUG"}
        stack = Stack(redis_url, api, tmp_path, settings)
        stack.worker("-c", "2", "-E", "-l", "DEBUG").ready()
        yield stack
        stack.close()


@pytest.fixture
def watching(stack: Stack) -> Iterator[str]:
    """The address of a Flower that watches the stack's workers."""
    with flower(stack) as url:
        yield url


@pytest.fixture
def serving(stack: Stack) -> Iterator[Callback]:
    """A callback with every door open."""
    settings = moderation(stack.folder, tokens=MODERATION_TOKEN, relay_channel="support", relay_room="im-{To_Account}")
    settings |= webhook(token=WEBHOOK_TOKEN, relay_to="im-{userId}")
    settings |= {"PUSHLANE_API_KEYS__SHOP__KEY": API_KEY, "PUSHLANE_API_KEYS__SHOP__CHANNELS": "support,partner"}
    with callback(stack.folder, stack.redis_url, settings | {"PUSHLANE_LOG_LEVEL": "DEBUG"}) as running_callback:
        yield running_callback


def test_a_full_run_shows_no_token_and_no_text(stack: Stack, watching: str, serving: Callback) -> None:
    """In logs, errors, what commands print, Flower's pages, task arguments and the OpenAPI document."""
    said = [
        *by_python(stack.redis_url),
        *by_celery(stack.redis_url),
        *by_http(serving.url),
        *by_platforms(serving),
        *by_command(stack),
    ]
    wait_until(lambda: stack.depth() == stack.depth("partner") == 0, "the queues to be empty", 60)
    logs = {path.name: path.read_text() for path in stack.folder.glob("*.log")}
    assert "pushlane.enqueue" in logs["worker0.log"]
    assert "webhook.stored" in logs["callback.log"]
    pages = {page: httpx.get(watching + page).text for page in [*PAGES, *task_pages(watching)]}
    assert "pushlane.drain" in pages["/api/tasks?limit=10000"]
    assert "pushlane.enqueue" in pages["/api/tasks?limit=10000"]
    found = {name: marked(text) for name, text in {**logs, **pages, "said": "\n".join(said)}.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def marked(text: str) -> list[str]:
    """The places in it that hold a mark."""
    return [text[max(place.start() - 80, 0) : place.end() + 40] for place in re.finditer(MARK, text, re.IGNORECASE)]


def task_pages(watching: str) -> Sequence[str]:
    """Flower's page of each task."""
    return [f"/task/{task_id}" for task_id in httpx.get(f"{watching}/api/tasks?limit=10000").json()]


def by_python(redis_url: str) -> list[str]:
    """Sends by the library; what its errors say."""
    said = []
    with Producer(redis_url) as producer:
        producer.send_many("support", [RoomMessage(f"r{number % 5}", f"{TEXT} {number}") for number in range(50)])
        receipt = producer.send("partner", ThirdPartyMessage("user", {"text": TEXT}), idempotency_key="one")
        said.append(repr(producer.status("partner", receipt.message_id)))
        for channel, message in (
            ("support", RoomMessage("r", TOO_LONG)),
            ("nowhere", RoomMessage("r", TEXT)),
            ("support", ThirdPartyMessage("user", {"text": TEXT})),
            ("partner", ThirdPartyMessage("user", {"text": TEXT + "!"})),
        ):
            with pytest.raises(PushlaneError) as caught:
                producer.send(channel, message, idempotency_key="one")
            said.append(f"{caught.value} {caught.value!r} {caught.value.args}")
        with pytest.raises(PushlaneError) as caught:
            RoomMessage("r", f"{TEXT}\ud800")
        said.append(repr(caught.value))
    return said


def by_celery(redis_url: str) -> list[str]:
    """Sends by task, right and wrong ones. Nobody is answered: what they come to stands in logs and Flower."""
    app = Celery("a-service", broker=redis_url)
    for message in (
        {"room_id": "r", "text": TEXT},
        {"room_id": "r", "text": TOO_LONG},
        {"room_id": "r", "txt": TEXT},
        TEXT,
    ):
        kwargs = {"channel": "support", "message": message}
        app.send_task("pushlane.enqueue", kwargs=kwargs, queue="pushlane.enqueue")
    app.send_task("pushlane.enqueue", args=[TEXT, TEXT, TEXT], queue="pushlane.enqueue")
    app.send_task("no.such.task", kwargs={"text": TEXT}, queue="pushlane.enqueue")
    app.close()
    return []


def by_http(url: str) -> list[str]:
    """Enqueues, asks and cancels over HTTP, with right and wrong keys; what the answers say."""
    said = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        messages = "/v1/channels/support/messages"
        answers = [
            client.post(messages, json={"room_id": "r", "text": TEXT}, headers={"Idempotency-Key": "a"}),
            client.post(messages, json={"room_id": "r", "text": TEXT + "!"}, headers={"Idempotency-Key": "a"}),
            client.post(messages, json=[{"room_id": "r", "text": TOO_LONG}]),
            client.post(messages, json={"room_id": "r", "text": [TEXT]}),
            client.post(messages, json={"room_id": "r", "txt": TEXT}),
            client.post(messages, content=json.dumps({"room_id": "r", "text": TEXT})[:-3]),
            client.post(messages, json={"room_id": "r", "text": TEXT}, headers={"Authorization": f"Bearer {WRONG}"}),
            client.post("/v1/channels/other/messages", json={"room_id": "r", "text": TEXT}),
            client.post("/v1/channels/support/decisions/k", json={"verdict": "allow", "reason": [TEXT]}),
            client.post(
                "/v1/channels/support/decisions/k",
                json={"verdict": "rewrite", "message": {"room_id": "r", "text": TOO_LONG}},
            ),
            client.get("/openapi.json"),
        ]
        assert [answer.status_code for answer in answers] == [202, 409, 422, 422, 422, 422, 401, 403, 422, 422, 200]
        accepted = answers[0].json()["message_id"]
        answers += [client.get(f"{messages}/{accepted}"), client.delete(f"{messages}/{accepted}")]
        said += [f"{answer.text} {answer.headers}" for answer in answers]
    return said


def by_platforms(serving: Callback) -> list[str]:
    """What the platforms post, right and wrong; the answers, but for what they must repeat."""
    with httpx.Client() as client:
        allowed = serving.ask(client, c2c(1, TEXT), token=MODERATION_TOKEN)
        forbidden = serving.ask(client, c2c(2, f"casino {TEXT}"), token=MODERATION_TOKEN)
        unreadable = serving.ask(client, {"MsgBody": TEXT}, token=MODERATION_TOKEN)
        assert [answer["ErrorCode"] for answer in (allowed, forbidden, unreadable)] == [0, 1, 0]
        unsigned = client.post(f"{serving.url}/tencent/callback?SdkAppid={APP}&Sign={WRONG}", json=c2c(3, TEXT))
        address, body = f"{serving.url}/cinnox/webhook", incoming(1, TEXT)
        headers = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
        answers = [
            unsigned,
            client.post(address, json=body, headers=headers),
            client.post(address, json={"userId": TEXT * 100, "message": {"text": TEXT}}, headers=headers),
            client.post(address, json={"userId": "u", "message": TEXT}, headers=headers),
            client.post(address, json=body, headers={"Authorization": f"Bearer {WRONG}"}),
        ]
        assert [answer.status_code for answer in answers] == [401, 200, 400, 400, 401]
    return [str(allowed), str(forbidden), str(unreadable), *(f"{answer.text} {answer.headers}" for answer in answers)]


def by_command(stack: Stack) -> list[str]:
    """Commands that succeed and fail; what they print."""
    commands = [
        ("send", "support", "--room", "r", TEXT),
        ("send", "support", "--room", "r", TOO_LONG),
        ("send", "partner", "--user", "u", "--json", f'{{"text": "{TEXT}"'),
        ("status",),
        ("channel", "list"),
        ("check",),
        ("decisions",),
        ("blocked",),
        ("dead", "list", "support"),
    ]
    ended = [pushlane(*words, redis_url=stack.redis_url, settings=stack.settings) for words in commands]
    assert [one.code for one in ended] == [0, 2, 2, 0, 0, 0, 0, 0, 0], ended
    return [f"{one.out}{one.err}" for one in ended]
