"""The kinds of channel: one file each, which builds the request of a push and reads its answer.

A new kind is a file with a class that satisfies ``ChannelKind`` and its line in ``KINDS``.

::

    cinnox         CINNOX rooms; cinnox_codes: the meaning of CINNOX's codes
    third_party    CINNOX's third-party messages
    json_post      what their requests share
    envelope       what their answers share: a status, and an object ``{code, message}``
    channel        a channel in this process: its kind, retry limits and current token
    http           sends a request once, and tells "not sent" from "not answered"
    connector      the connections to the APIs
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import httpx

from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.channels.third_party import ThirdParty
from pushlane_worker.queue.outcome import Answer, PushResult


class ChannelKind(Protocol):
    """What a drain needs from a kind; it is built from a channel's settings and keeps no state about its pushes."""

    kind: ClassVar[str]
    """The value of a channel's ``KIND`` setting."""
    batch_limit: ClassVar[int]
    """The largest number of messages that one push carries."""
    max_text: ClassVar[int | None]
    """The longest text of a message, in the channel's ``TEXT_UNIT``; None if messages are not texts."""

    def __init__(self, settings: ChannelSettings, token: Callable[[], str]) -> None:
        """The kind for one channel. ``token`` returns the current one at each push."""

    def request(self, conversation: str, address: bytes, bodies: Sequence[bytes]) -> httpx.Request:
        """Build the push of 1 to ``batch_limit`` stored bodies, in order, without parsing them.

        ``address`` is what the messages of the batch share apart from their conversation, as the producer stored it;
        empty if there is nothing.
        """

    def read(self, answer: Answer) -> PushResult:
        """Return the result of a push with this answer; never raises, whatever the answer contains."""


KINDS: Mapping[str, type[ChannelKind]] = {kind.kind: kind for kind in (Cinnox, ThirdParty)}
