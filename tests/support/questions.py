"""The moderation endpoint in the test's own process: questions, and what they leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
from support.callback import C2C, c2c
from support.in_process import URL, InProcess
from support.waiting import wait_until

from pushlane.callback.tencent.answer import OWN_CODES
from pushlane.callback.tencent.question import MODERATED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from redis import Redis

PATH = "/tencent/callback"
PEER = "198.51.100.7"
HELLO = json.dumps(c2c(1)).encode()
AFTER = "C2C.CallbackAfterSendMsg"


class Asker(InProcess):
    """The app, and signed questions for it."""

    def post(
        self, asked: str, body: bytes = HELLO, *, headers: Mapping[str, str | bytes] | None = None, peer: str = PEER
    ) -> httpx.Response:
        """The answer to a request with this query string."""
        target = httpx.URL(URL + PATH).copy_with(query=asked.encode(errors="surrogateescape"))
        return self.send(target, body, headers or {}, peer=peer)


def everything(redis: Redis, folder: Path) -> dict[object, object]:
    """Every key with its value, and every byte of the spool."""
    kept: dict[object, object] = {key: redis.dump(key) for key in redis.scan_iter(count=1000)}
    return kept | {path.suffix: path.read_bytes() for path in (folder / "spool").iterdir()}


def code(response: httpx.Response, command: str = C2C) -> int:
    """The ErrorCode of an answer, after a check that it is one of the documented ones."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    fields = json.loads(response.content.decode())
    assert fields["ActionStatus"] == "OK"
    assert type(fields["ErrorInfo"]) is str
    assert type(fields["ErrorCode"]) is int
    assert fields["ErrorCode"] in {0, 1, 2} or fields["ErrorCode"] in OWN_CODES[command]
    extra = set(fields) - {"ActionStatus", "ErrorInfo", "ErrorCode"}
    assert extra <= ({"MsgBody", "CloudCustomData"} if fields["ErrorCode"] == 0 else set())
    assert response.content.isascii() or command in MODERATED
    return int(fields["ErrorCode"])


def recorded_by(app: Asker, redis: Redis, count: int = 1) -> list[dict[str, Any]]:
    """All that was recorded, once there are this many: on a busy machine they go by way of the disk."""

    def are_there() -> bool:
        app.idle(0.02)
        return len(decisions(redis)) >= count

    wait_until(are_there, "the decisions")
    return decisions(redis)


def decisions(redis: Redis) -> list[dict[str, Any]]:
    """All that was recorded."""
    entries: Any = redis.xrange("pushlane:1:{decisions}:stream")
    return [json.loads(fields[b"decision"]) for _, fields in entries]
