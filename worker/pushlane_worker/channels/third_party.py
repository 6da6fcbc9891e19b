"""Third-party messages: ``POST`` of ``{"userId", "message"}`` to one configured address, one message per push.

The address has to answer 2xx with ``{"code": 0}``; ``cid``, ``count``, ``total``, ``result`` and ``message`` may be
missing. An address that answers with an empty body needs ``ON_EMPTY_ANSWER=delivered``. ``cid`` is undocumented; it is
logged because the other side's operators can find the request by it.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

import httpx

from pushlane.service.printable import one_line
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels import envelope
from pushlane_worker.channels.cinnox_codes import codes
from pushlane_worker.channels.json_post import JsonPost
from pushlane_worker.queue.outcome import Answer, PushResult

MAX_CID_CHARS: Final = 128


class ThirdParty:
    """The ``third_party`` kind: users behind one address.

    A body is the message object as JSON in UTF-8; an address is always empty.
    """

    kind: ClassVar[str] = "third_party"
    batch_limit: ClassVar[int] = 1
    max_text: ClassVar[int | None] = None

    def __init__(self, settings: ChannelSettings, token: Callable[[], str]) -> None:
        self._post = JsonPost(settings.address, token)
        self._codes = codes(settings)

    def request(self, conversation: str, address: bytes, bodies: Sequence[bytes]) -> httpx.Request:  # noqa: ARG002 # the protocol's
        """The push of one object to the user, assembled from bytes."""
        (message,) = bodies
        return self._post.request(b'{"userId":%b,"message":%b}' % (json.dumps(conversation).encode(), message))

    def read(self, answer: Answer) -> PushResult:
        """The outcome by ``envelope.read``, with the answer's ``cid`` for the log."""
        parsed = envelope.parse(answer.body)
        result = envelope.read(answer, parsed, self._codes, datetime.now(UTC))
        cid = parsed.fields.get("cid") if parsed else None
        if not isinstance(cid, str) or not cid:
            return result
        return dataclasses.replace(result, log={"cid": one_line(cid[: 4 * MAX_CID_CHARS])[:MAX_CID_CHARS]})
