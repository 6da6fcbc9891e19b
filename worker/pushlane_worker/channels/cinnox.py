"""CINNOX: ``POST /v1/api/apps/{appID}/message-push``, up to 10 messages of one room per request.

The API accepts a request as a whole or answers with a code; it has no idempotency key and no result per message.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Self
from urllib.parse import quote

import httpx

from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels import envelope
from pushlane_worker.channels.cinnox_codes import codes
from pushlane_worker.channels.json_post import JsonPost
from pushlane_worker.queue.outcome import Answer, Outcome, PushResult


class Cinnox:
    """The ``cinnox`` kind: rooms of one app.

    A body is the text as a JSON string literal in UTF-8. An address is the JSON array
    ``[senderEID or null, receiverEID or null]``, or empty when the batch has neither.

    Args:
        base_url: The account's base URL, with or without a trailing slash.
        app_id: The app's id, unescaped.
        token: The app token, or a function that returns the current one.
        retry_codes: Codes beyond the documented ones that mean "failed, try again".
        reject_codes: Codes that mean "these messages are refused".
        empty: What a 2xx without a body means.
    """

    kind: ClassVar[str] = "cinnox"
    batch_limit: ClassVar[int] = 10
    max_text: ClassVar[int | None] = 5000

    def __init__(
        self,
        *,
        base_url: str,
        app_id: str,
        token: str | Callable[[], str],
        retry_codes: Iterable[int] = (),
        reject_codes: Iterable[int] = (),
        empty: Outcome = Outcome.UNKNOWN,
    ) -> None:
        path = f"/v1/api/apps/{quote(app_id, safe='')}/message-push"
        self._post = JsonPost(base_url.rstrip("/") + path, token)
        self._codes = codes(retry_codes, reject_codes, empty)

    @classmethod
    def make(cls, settings: ChannelSettings, token: Callable[[], str]) -> Self:
        """The kind for one channel of the settings."""
        return cls(
            base_url=settings.address,
            app_id=settings.app_id or "",
            token=token,
            retry_codes=settings.retry_codes,
            reject_codes=settings.reject_codes,
            empty=Outcome[settings.on_empty_answer.upper()],
        )

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
