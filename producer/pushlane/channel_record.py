"""A channel's record as producers and operators read it: its limits, and whether a newer release has written it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pushlane.errors import NewerChannel, QueueUnavailable, UnknownChannel
from pushlane.message import Limits, check_channel_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

CHANNEL_VERSION: Final = 2
"""That of a channel's record, which changes with what its fields mean; ``lua/lib_channel.lua`` repeats it."""
LIMIT_FIELDS: Final = ("version", "kind", "max_text", "text_unit", "max_message_bytes")
LIMITS_KEPT_S: Final = 10.0
"""How long a producer caches a channel's limits. The scripts check kind and depth on every call."""


def read_limits(channel: str, fields: Sequence[Any]) -> Limits | None:
    """The limits in these fields of a channel's record; None if the channel is not registered.

    Raises:
        NewerChannel: A newer release has registered it.
    """
    version, *limits = fields
    check_version(channel, version)
    if None in limits:
        return None
    kind, max_text, text_unit, max_message_bytes = limits
    return Limits(kind.decode(), int(max_text), text_unit.decode(), int(max_message_bytes))


def check_version(channel: str, version: bytes | None) -> None:
    """Raises NewerChannel if this is the version of a newer release's record; an older one's may have none.

    Raises QueueUnavailable if it is no version at all.
    """
    if version is None:
        return
    if not version.isdigit():
        raise QueueUnavailable(f"the record of channel {channel!r} is damaged: its version is not a number")
    if int(version) > CHANNEL_VERSION:
        raise NewerChannel(channel, int(version))


def newer_channel(channel: str, error: redis.RedisError) -> NewerChannel | None:
    """How a script says that a newer release has registered the channel; None if it says something else."""
    code, _, words = str(error).partition(" ")
    return NewerChannel(channel, int(words.split()[0])) if code == "NEWERCHANNEL" else None


class LimitsCache:
    """The limits of a producer's channels, each kept for ``LIMITS_KEPT_S``."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Limits]] = {}

    def get(self, channel: str) -> Limits | None:
        """The limits, if they were read recently. Raises InvalidMessage for an invalid channel name."""
        known = self._known.get(check_channel_name(channel))
        return known[1] if known and time.monotonic() - known[0] < LIMITS_KEPT_S else None

    def put(self, channel: str, fields: Sequence[Any]) -> Limits:
        """Keeps the limits that Redis returned. Raises UnknownChannel or NewerChannel."""
        limits = read_limits(channel, fields)
        if limits is None:
            raise UnknownChannel(channel)
        self._known[channel] = (time.monotonic(), limits)
        return limits
