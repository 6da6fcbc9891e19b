"""CINNOX: ``POST /v1/api/apps/{appID}/message-push``, up to 10 messages of one room per request.

The API accepts a request as a whole or answers with a code; it has no idempotency key and no result per message.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote

import httpx

from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels import envelope
from pushlane_worker.channels.cinnox_codes import codes
from pushlane_worker.channels.json_post import JsonPost
from pushlane_worker.queue.outcome import Answer, PushResult


class Cinnox:
    """The ``cinnox`` kind: rooms of one app.

    A body is the text as a JSON string literal in UTF-8. An address is the JSON array
    ``[senderEID or null, receiverEID or null]``, or empty when the batch has neither.
    """

    kind: ClassVar[str] = "cinnox"
    batch_limit: ClassVar[int] = 10
    max_text: ClassVar[int | None] = 5000

    def __init__(self, settings: ChannelSettings, token: Callable[[], str]) -> None:
        path = f"/v1/api/apps/{quote(settings.app_id or '', safe='')}/message-push"
        self._post = JsonPost(settings.address.rstrip("/") + path, token)
        self._codes = codes(settings)

    def request(self, conversation: str, address: bytes, bodies: Sequence[bytes]) -> httpx.Request:
        """The push of 1 to 10 texts to the room, assembled from bytes."""
        texts = b'},{"type":"text","text":'.join(bodies)
        room = json.dumps(conversation).encode()
        return self._post.request(
            b'{"roomID":%b%b,"messages":[{"type":"text","text":%b}]}' % (room, _eids(address), texts)
        )

    def read(self, answer: Answer) -> PushResult:
        """The outcome by ``envelope.read``; if the destination does not exist, the whole batch is rejected."""
        return envelope.read(answer, envelope.parse(answer.body), self._codes, datetime.now(UTC))


def _eids(address: bytes) -> bytes:
    if not address:
        return b""
    named = zip(("senderEID", "receiverEID"), json.loads(address), strict=True)
    return b"".join(b',"%b":%b' % (name.encode(), json.dumps(eid).encode()) for name, eid in named if eid is not None)
