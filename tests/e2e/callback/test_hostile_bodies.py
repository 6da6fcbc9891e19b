"""What strangers with a token may send does not keep a moderation question waiting, nor fill the memory."""

from __future__ import annotations

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from redis import Redis
from support.callback import C2C, Callback, c2c, callback, moderation, query
from support.channels import register
from support.http_api import BILLING, KEYS, SUPPORT
from support.waiting import wait_until
from support.webhook import PATH, bearer, webhook

from pushlane.callback.app import GONE
from pushlane.callback.server import GRACE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushlane_worker.embedded import EmbeddedServer

KIB, MIB = 1024, 1024 * 1024
ANSWER_S = 0.3
PLATFORM_S = 2.0
"""Then the platform delivers."""
GROWTH_KIB = 64 * KIB
WAYS = 4
"""At once: four large bodies find a place, eight come."""
QUESTIONS = 25


class Attack(NamedTuple):
    """A body, where it goes, and what it may be answered."""

    path: str
    body: bytes
    statuses: set[int]


def names(size: int) -> bytes:
    """An object of this size whose last name is given twice."""
    last = size // 10
    return b"{" + b",".join(b'"%x":0' % number for number in range(last)) + b',"%x":0}' % (last - 1)


def near(size: int) -> bytes:
    """An object of this size of names that are almost those of a message."""
    return b"{" + b",".join(b'"room_i%x":0' % number for number in range(size // 15)) + b"}"


def relays(size: int) -> str:
    """A blocked word in as many relays as this size holds."""
    opened, closed = '[{"MsgType":"TIMRelayElem","MsgContent":{"MsgList":[{"MsgBody":', "}]}}]"
    levels = size // len(opened + closed)
    return opened * levels + '[{"MsgType":"TIMTextElem","MsgContent":{"Text":"casino"}}]' + closed * levels


def question(number: int, msg_body: str) -> bytes:
    """A question about these elements."""
    asked = json.dumps(c2c(number) | {"MsgBody": "?"})
    return asked.replace('"?"', msg_body).encode()


def said(text: str) -> str:
    """An element that says this."""
    return json.dumps([{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}], ensure_ascii=False)


CINNOX, TENCENT = {200, 400}, {200}
ATTACKS = {
    "names given twice": [
        Attack(PATH, names(255 * KIB), CINNOX),
        Attack(PATH, b'{"userId":"u","message":' + names(80 * KIB) + b"}", CINNOX),
        Attack(SUPPORT, names(64 * KIB), {422}),
        Attack("/v1/channels/support/decisions/k", names(255 * KIB), {422}),
    ],
    "near matches": [
        Attack(PATH, near(255 * KIB), CINNOX),
        Attack(SUPPORT, near(64 * KIB), {422}),
        Attack(SUPPORT, b'{"' + b"room_i" * (600 * KIB) + b'":0}', {422, 503}),
    ],
    "lists of empty objects": [Attack(SUPPORT, b"[" + b"{}," * 1_390_000 + b"{}]", {422, 503})] * 8,
    "relays in relays": [
        Attack("", question(1, relays(255 * KIB)), TENCENT),
        Attack("", question(2, relays(10 * KIB)), TENCENT),
        Attack("", question(3, relays(3 * KIB)), TENCENT),
    ],
    "words that overlap": [
        Attack("", question(4, said("ha " * 85 * KIB)), TENCENT),
        Attack("", question(5, said("x" * 250 * KIB)), TENCENT),
        Attack("", question(6, said("\u0441\u043e\u0440 " * 30 * KIB)), TENCENT),
    ],
    "wrong elements": [
        Attack("", question(7, "[" + "{}," * 85 * KIB + "1]"), TENCENT),
        Attack("", names(255 * KIB), TENCENT),
    ],
}


@pytest.fixture(scope="module")
def attacked(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callback]:
    """One callback with all routes, which masks words."""
    folder = tmp_path_factory.mktemp("callback")
    settings = {**KEYS, **webhook(relay_to="{userId}"), **moderation(folder, blocked_words_action="mask")}
    (folder / "words.txt").write_text("casino\nha ha ha\nxxx\ncop\n", encoding="utf-8")
    with Redis.from_url(server.url) as client:
        client.flushall()  # a test before may have left a channel of a newer release
        register(client)
    with callback(folder, server.url, settings) as running:
        yield running


def send(client: httpx.Client, running: Callback, attack: Attack) -> None:
    """One hostile request, and what it must be answered."""
    path = attack.path or f"/tencent/callback?{query(C2C)}"
    headers = bearer() if attack.path == PATH else bearer(BILLING)
    headers["Content-Type"] = "application/json"
    answer = client.post(running.url + path, content=attack.body, headers=headers)
    assert answer.status_code in attack.statuses, answer.text
    if not attack.path and b"casino" in attack.body:
        assert answer.json()["ErrorCode"] == 1


def ask(client: httpx.Client, running: Callback, number: int) -> float:
    """How long a question takes to be answered right, in seconds."""
    text = ("hello", "a casino")[number % 2]
    started = time.monotonic()
    answer: dict[str, Any] = running.ask(client, c2c(number, text))
    took = time.monotonic() - started
    assert answer["ErrorCode"] == 0
    assert ("MsgBody" in answer) is (number % 2 == 1)
    return took


def memory_kib(running: Callback, name: str) -> int:
    """A value of the process's status: VmRSS now, VmHWM at its highest."""
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("attacks", ATTACKS.values(), ids=ATTACKS)
def test_a_question_is_answered_while_hostile_bodies_arrive(attacked: Callback, attacks: list[Attack]) -> None:
    """Right and in time, and the process stays as large as it was."""
    with httpx.Client(timeout=60) as client, httpx.Client(timeout=60) as theirs, ThreadPoolExecutor(2 * WAYS) as pool:
        quiet = [ask(client, attacked, number) for number in range(10)]
        before = memory_kib(attacked, "VmRSS")
        todo = [pool.submit(send, theirs, attacked, attack) for attack in attacks * max(1, 2 * WAYS // len(attacks))]
        times = [ask(client, attacked, number) for number in range(1000, 1000 + QUESTIONS)]
        while not all(sent.done() for sent in todo):
            times.append(ask(client, attacked, 2000 + len(times)))
        for sent in todo:
            sent.result()
    # A busy machine delays any question once, also quiet ones.
    *others, slowest = sorted(times)
    assert others[-1] < max(ANSWER_S, 10 * max(quiet)), (max(quiet), times)
    assert slowest < PLATFORM_S
    assert memory_kib(attacked, "VmHWM") - before < GROWTH_KIB


def send_and_leave(running: Callback, body: bytes) -> None:
    """Sends a body to be enqueued, and does not wait for its answer."""
    address = httpx.URL(running.url)
    head = f"POST {SUPPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BILLING}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection((address.host, address.port or 80), timeout=10) as peer:
        peer.sendall(f"{head}\r\n".encode() + body)


def test_a_client_that_has_left_leaves_no_work_behind(attacked: Callback) -> None:
    """Its list is read no further, and none of it is stored."""
    message = {"user_id": "u", "message": {"a": [[]] * 40, "b": "x" * 3000}}
    body = json.dumps([message] * 1000).encode()

    def is_given_up() -> bool:
        send_and_leave(attacked, body)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", attacked.log.read_text(encoding="utf-8")).splitlines()
        return any(f"path={SUPPORT} status={GONE}" in line for line in lines)

    wait_until(is_given_up, "a request to be given up", 30)


def test_a_callback_ends_in_time_whatever_is_being_read(server: EmbeddedServer, tmp_path: Path) -> None:
    """No thread goes on with bodies whose clients have left."""
    with callback(tmp_path, server.url, KEYS) as running:
        for _ in range(WAYS):
            send_and_leave(running, names(MIB))
        running.process.terminate()
        assert running.process.wait(GRACE_S) == 0
