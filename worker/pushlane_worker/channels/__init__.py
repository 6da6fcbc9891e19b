"""The kinds of channel: one file each says how a push is asked for and what its answer means.

A new kind is a file with a class that satisfies ``ChannelKind`` and its line in ``KINDS``. ``json_post.py`` and
``envelope.py`` hold what kinds share: the request that only its body makes different, and the reading of a status with
a ``{code, message}`` object; ``cinnox_codes.py`` has what CINNOX's codes mean.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Protocol, Self

import httpx

from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.channels.third_party import ThirdParty
from pushlane_worker.outcome import Answer, PushResult


class ChannelKind(Protocol):
    """What the drain asks of a kind; it is built from a channel's settings and keeps no state of its pushes."""

    kind: ClassVar[str]
    """The value of a channel's ``KIND`` setting."""
    batch_limit: ClassVar[int]
    """The largest number of messages that one push carries."""
    max_text: ClassVar[int | None]
    """The longest text of a message, in the channel's ``TEXT_UNIT``; None where messages are no texts."""

    @classmethod
    def make(cls, settings: ChannelSettings, token: Callable[[], str]) -> Self:
        """The kind for one channel. ``token`` returns the current one at each push."""

    def request(self, conversation: str, address: bytes, bodies: Sequence[bytes]) -> httpx.Request:
        """Build the push of these 1 to ``batch_limit`` stored bodies, in their order, without parsing them.

        ``address`` is what the messages of the batch share beside their conversation, as the kind's producer stored
        it; empty when there is nothing.
        """

    def read(self, answer: Answer) -> PushResult:
        """Say what a push with this answer came to; never raises, whatever the answer holds."""


KINDS: Mapping[str, type[ChannelKind]] = MappingProxyType({kind.kind: kind for kind in (Cinnox, ThirdParty)})
