"""Answers of CINNOX, and the token of a channel."""

import json
from collections.abc import Mapping

from pushlane_worker.queue.outcome import Answer


def answer(status: int, body: bytes | str | object = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """An answer; anything but bytes and text is sent as JSON."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Answer(status, headers or {}, body)


def token() -> str:
    """The token."""
    return "token"
