"""Every program once along its main paths: producers, callback, worker, commands and Flower, on given addresses."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from celery import Celery
from support.callback import c2c, callback, moderation
from support.command import pushlane
from support.flower import flower
from support.http_api import BILLING, KEYS, SUPPORT, Api
from support.page import Person, page_settings
from support.processes import environment, installed
from support.stack import FakeApi, Stack, channel_settings
from support.waiting import wait_until
from support.webhook import PATH, bearer, incoming, webhook

from pushlane import AsyncProducer, Hold, Producer, RoomMessage
from pushlane.address import parse
from pushlane_worker.dispatch.consumers import ENQUEUE_QUEUE

if TYPE_CHECKING:
    from pathlib import Path


HELLO = RoomMessage("room", "hello")
LATE = "late"
"""A channel, and its Celery queue. Moderation relays to it before it is registered, and no worker serves it."""


@dataclass(frozen=True)
class Addresses:
    """What each program connects to: the state, except for the broker."""

    producer: str
    callback: str
    worker: str
    operator: str
    page: str
    broker: str

    @classmethod
    def all(cls, url: str) -> Addresses:
        """The same for each."""
        return cls(url, url, url, url, url, url)


class Tour:
    """Starts a worker, which runs until the end of ``go``."""

    def __init__(self, addresses: Addresses, api: FakeApi, folder: Path) -> None:
        self._at = addresses
        self._api = api
        self._folder = folder
        broker = {"PUSHLANE_BROKER_URL": addresses.broker}
        self._settings = {**channel_settings(api.url, backoff_base_s=0.1), **broker}
        self._stack = Stack(addresses.worker, api, folder, self._settings)

    def go(self) -> str:
        """Takes it; returns the worker's log."""
        try:
            self._operator("channel", "register", "support")
            worker = self._stack.worker("-c", "1").ready()
            self._produce()
            self._moderate()
            self._operate()
            self._look()
            self._watch()
            assert worker.stop() == 0
            self._operator("channel", "remove", "support", "--force")
            return worker.log.read_text()
        finally:
            self._stack.close()

    def _operator(self, *words: str, settings: dict[str, str] | None = None, code: int = 0) -> str:
        ended = pushlane(*words, redis_url=self._at.operator, settings=self._settings | (settings or {}))
        assert ended.code == code, ended
        return ended.out

    def _produce(self) -> None:
        with Producer(self._at.producer) as producer:
            receipts = producer.send_many("support", [RoomMessage(f"r{n}", "hello") for n in range(20)])
            again = [producer.send("support", HELLO, idempotency_key="k").duplicate for _ in range(2)]
            assert again == [False, True]
            scheduled = producer.send("support", HELLO, not_before=3600, expires_in=7200)
            assert producer.cancel("support", scheduled.message_id) == "cancelled"
            held = [producer.send("support", RoomMessage(f"h{n}", "held"), hold=Hold(f"h{n}", 60)) for n in range(3)]
            producer.decide("support", "h0", "allow")
            producer.decide("support", "h1", "rewrite", message=RoomMessage("-", "rewritten"))
            self._operator("decide", "support", "h2", "forbid", "--reason", "no")
            for receipt in (*receipts, *held[:2]):
                self._stack.wait_for_state(producer, receipt, "delivered")
            self._stack.wait_for_state(producer, held[2], "dead")

        async def send() -> None:
            async with AsyncProducer(self._at.producer) as producer:
                receipt = await producer.send("support", HELLO)
                assert await producer.status("support", receipt.message_id)

        asyncio.run(send())
        address = parse(self._at.broker)
        service = Celery(broker=address.for_celery())
        service.conf.broker_use_ssl = address.tls
        service.send_task(
            "pushlane.enqueue", args=("support", {"room_id": "task", "text": "hello"}), queue=ENQUEUE_QUEUE
        )
        wait_until(lambda: self._api.texts("task") == ["hello"], "the message of a Celery service")

    def _look(self) -> None:
        with (
            callback(self._folder, self._at.page, page_settings(self._folder)) as at,
            closing(Person(at.url)) as person,
        ):
            channel = "/channels/support"
            for path in (
                "/",
                "/decisions",
                "/audit",
                channel,
                *(f"{channel}/{name}" for name in ("blocked", "unknown")),
            ):
                person.see(path)
            person.see(f"{channel}/dead?reason=forbidden")
            person.see(f"{channel}/dead/all?act=replay&reason=forbidden")
            person.see("/find?id=nosuch", 404)
            assert "is paused" in person.do(f"{channel}/pause")
            assert "is resumed" in person.do(f"{channel}/resume")
            for path, form in (
                ("blocked/skip", {"conversation": "nosuch"}),
                ("message/cancel", {"id": "nosuch", "sure": "yes"}),
                ("message/text", {"id": "nosuch"}),
            ):
                assert person.act(f"{channel}/{path}", **form).status_code == 409
            assert "0 dead letters" in person.do(f"{channel}/dead/replay", id="nosuch")
            assert "0 dead letters" in person.do(f"{channel}/dead/purge", id="nosuch", sure="yes")
            assert "dead letter" in person.do(f"{channel}/dead/all", act="replay", newest="9999999999999")
        assert "logged in" in self._operator("audit")

    def _moderate(self) -> None:
        relay = {"relay_channel": LATE, "relay_room": "{To_Account}"}
        settings = {**moderation(self._folder, **relay), **KEYS, **webhook()}
        with callback(self._folder, self._at.callback, settings) as started, httpx.Client() as client:
            assert client.get(f"{started.url}/readyz").json() == {"status": "ok"}
            assert started.ask(client, c2c(1, "hello"))["ErrorCode"] == 0
            assert started.ask(client, c2c(1, "hello"))["ErrorCode"] == 0, "the recorded answer"
            assert started.ask(client, c2c(2, "casino"))["ErrorCode"] == 1
            assert client.post(f"{started.url}{PATH}", json=incoming(), headers=bearer()).json() == {"code": 0}
            with Api(started.url, BILLING) as service:
                body = {"room_id": "r", "text": "hello"}
                sent = service.post(SUPPORT, json=body).json()["message_id"]
                assert service.get(f"{SUPPORT}/{sent}").status_code == 200
                held = service.post(SUPPORT, json=body | {"hold": {"key": "http", "timeout_s": 60}})
                assert held.is_success, held.text
                decided = service.post("/v1/channels/support/decisions/http", json={"verdict": "allow"})
                assert decided.is_success, decided.text
                assert service.delete(f"{SUPPORT}/{sent}").status_code in {200, 409}
            log = started.log
        assert "hello" not in self._operator("decisions")
        late = channel_settings(self._api.url, LATE, queue=LATE)
        self._operator("channel", "register", LATE, settings=late)
        wait_until(lambda: self._depth(LATE) == 1, "the worker to relay what the callback could not")
        assert "NOPERM" not in log.read_text(), log.read_text()

    def _depth(self, channel: str) -> int:
        told = json.loads(self._operator("status", channel, "--json"))
        return int(told["channels"][0]["depth"])

    def _operate(self) -> None:
        self._api.control(reject_text="BAD")
        with Producer(self._at.operator) as producer:
            refused = producer.send("support", RoomMessage("bad", "BAD"))
            self._stack.wait_for_state(producer, refused, "dead")
            self._api.control(reject_text=None)
            for words in ("status", "status --json", "dead list support", f"dead show support {refused.message_id}"):
                self._operator(*words.split())
            self._operator("dead", "replay", "support", refused.message_id)
            self._stack.wait_for_state(producer, refused, "delivered")
        self._operator("dead", "purge", "support", "--all", "--yes")
        self._operator("message", "support", refused.message_id)
        self._operator("channel", "pause", "support")
        self._operator("send", "support", "--room", "paused", "wait")
        self._operator("blocked", "support")
        self._operator("blocked", "skip", "support", "paused", code=1)
        self._operator("channel", "resume", "support")
        self._operator("channel", "list")
        self._operator("check")

    def _watch(self) -> None:
        env = environment(PUSHLANE_REDIS_URL=self._at.worker, **self._settings)
        words = [installed("celery"), "-A", "pushlane_worker", "inspect", "ping"]
        told = subprocess.run(words, env=env, cwd=self._folder, capture_output=True, text=True, check=False, timeout=60)
        assert "pong" in told.stdout, told
        with flower(self._stack) as url, Producer(self._at.producer) as producer:
            # It misses what happens before it has subscribed.
            wait_until(
                lambda: producer.send("support", HELLO).state and json.loads(_read(f"{url}/api/tasks")),
                "Flower to see a drain",
            )
            assert "pushlane" in _read(f"{url}/broker")
        log = (self._folder / "flower.log").read_text()
        assert "Unable to get queues" not in log, log


def _read(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 # loopback
        return str(answer.read().decode())
