"""The app with a webhook in the test's own process, what CINNOX sends to it, and what it has stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import httpx
from support.in_process import URL, InProcess
from support.webhook import PATH, TOKEN, bearer, incoming

from pushlane import message_record
from pushlane.keys import channel_prefix
from pushlane.message_record import read_content

if TYPE_CHECKING:
    from redis import Redis


HELLO = json.dumps(incoming()).encode()


class Sender(InProcess):
    """The app, and what CINNOX sends to it."""

    def post(self, body: object = HELLO, headers: Mapping[str, str | bytes] | None = None) -> httpx.Response:
        """The answer to a body, which is made JSON unless it is bytes; with the right token unless told otherwise."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(httpx.URL(URL + PATH), content, bearer() if headers is None else headers)

    def take(self, body: object = HELLO, token: str = TOKEN) -> None:
        """Sends it; it is answered as stored."""
        response = self.post(body, bearer(token))
        assert (response.status_code, response.json()) == (200, {"code": 0})


Open = Callable[..., Sender]

_SEQUENCE = message_record.FIELDS["sequence"]


def stored(redis: Redis, channel: str = "support") -> list[tuple[str, Any]]:
    """Conversation and content of each accepted message, in the order of their acceptance."""
    found = [redis.get(key) for key in redis.scan_iter(f"{channel_prefix(channel)}message:*")]
    records = sorted((one for one in found if isinstance(one, bytes)), key=lambda one: int(one[_SEQUENCE]))
    return [(conversation, json.loads(body)) for conversation, _, body in map(read_content, records)]
