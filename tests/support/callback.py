"""The callback as a process, and requests signed as the chat platform signs them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from support.ports import free_port
from support.processes import Process, environment, installed, running
from support.waiting import wait_until
from support.warm_processes import Warm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TOKEN = "xxxxyyyy"
APP = "1400000001"
C2C = "C2C.CallbackBeforeSendMsg"
START_S = 30.0
NOBODY = "redis://127.0.0.1:1/0"
"""An address at which there is no Redis."""


def moderation(folder: Path, **settings: object) -> dict[str, str]:
    """The environment of a callback whose words are `casino` and `badword`; more settings of MODERATION by name."""
    words = folder / "words.txt"
    words.write_text("casino\nbadword\n", encoding="utf-8")
    values = {"sdk_app_ids": APP, "tokens": TOKEN, "spool_dir": folder / "spool", **settings}
    if "blocked_words" in str(settings.get("policies", "blocked_words")):  # words that no policy uses are refused
        values = {"blocked_words_file": words, **values}
    return {f"PUSHLANE_MODERATION__{name.upper()}": str(value) for name, value in values.items()}


def query(command: str = C2C, *, token: str = TOKEN, app: str = APP, age_s: int = 0) -> str:
    """A signed query string."""
    request_time = str(int(time.time()) - age_s)
    sign = hashlib.sha256((token + request_time).encode()).hexdigest()
    facts = f"SdkAppid={app}&CallbackCommand={command}&contenttype=json&ClientIP=192.0.2.1&OptPlatform=iOS"
    return f"{facts}&Sign={sign}&RequestTime={request_time}"


def c2c(number: int, text: str = "hello", **fields: object) -> dict[str, Any]:
    """A one-to-one message from alice to bob."""
    return {
        "CallbackCommand": C2C,
        "From_Account": "alice",
        "To_Account": "bob",
        "MsgSeq": number,
        "MsgRandom": number,
        "MsgTime": 1557481126,
        "MsgKey": f"{number}_{number}_1557481126",
        "OnlineOnlyFlag": 0,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}],
        "CloudCustomData": "",
        **fields,
    }


@dataclass
class Callback:
    """A running ``pushlane callback``."""

    process: Process
    url: str
    log: Path

    def ask(self, client: httpx.Client, message: Mapping[str, Any], **how: Any) -> dict[str, Any]:  # noqa: ANN401 # see query
        """The answer to a signed question, which has HTTP status 200."""
        response = client.post(f"{self.url}/tencent/callback?{query(**how)}", json=message)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


@functools.cache
def warm_callbacks() -> Warm:
    """Where callbacks begin."""
    return Warm(
        "pushlane_worker.cli:main",
        "pushlane_worker.cli.program",
        "pushlane_worker.cli.callback",
        "pushlane.callback.server",
        "pushlane.callback.blocked_words.folding:_tables",
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
    )


@contextlib.contextmanager
def callback(folder: Path, redis_url: str, settings: Mapping[str, str], *, workers: int = 1) -> Iterator[Callback]:
    """Runs the callback until the end; it answers when this gives it."""
    port, log = free_port(), folder / "callback.log"
    words = [installed("pushlane"), "callback", "--port", str(port), "--workers", str(workers)]
    env = environment(PUSHLANE_REDIS_URL=redis_url, **settings)
    with running(words, env=env, cwd=folder, log=log, warm=warm_callbacks()) as process:
        started = Callback(process, f"http://127.0.0.1:{port}", log)
        wait_until(lambda: _answers(started), "the callback to answer", START_S)
        yield started


def _answers(started: Callback) -> bool:
    assert started.process.poll() is None, started.log.read_text()
    try:
        return httpx.get(f"{started.url}/healthz").status_code == 200
    except httpx.TransportError:
        return False
