"""The views: one module for each kind of page, with the acts that its forms ask for.

::

    channels       ``/``
    channel        ``/channels/<channel>``, pause and resume, and its unknown pushes
    blocked        its blocked conversations; skip
    dead_letters   its dead letters; replay and purge those that are chosen
    all_of_reason  replay or purge all of a reason, after a count
    message        one message; its text and cancelling it; finding it by its id
    decisions      what moderation decided
    audit          what operators did
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.page.view import Place
from pushlane.callback.page.views import (
    all_of_reason,
    audit,
    blocked,
    channel,
    channels,
    dead_letters,
    decisions,
    message,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANNEL: Final = "/channels/{channel}"

PLACES: Final[Sequence[Place]] = (
    Place("/", channels.show),
    Place("/find", message.find),
    Place("/decisions", decisions.show),
    Place("/audit", audit.show),
    Place(_CHANNEL, channel.show),
    Place(f"{_CHANNEL}/pause", channel.pause, "POST"),
    Place(f"{_CHANNEL}/resume", channel.resume, "POST"),
    Place(f"{_CHANNEL}/unknown", channel.unknown),
    Place(f"{_CHANNEL}/blocked", blocked.show),
    Place(f"{_CHANNEL}/blocked/skip", blocked.skip, "POST"),
    Place(f"{_CHANNEL}/dead", dead_letters.show),
    Place(f"{_CHANNEL}/dead/replay", dead_letters.replay, "POST"),
    Place(f"{_CHANNEL}/dead/purge", dead_letters.purge, "POST"),
    Place(f"{_CHANNEL}/dead/all", all_of_reason.preview),
    Place(f"{_CHANNEL}/dead/all", all_of_reason.start, "POST"),
    Place(f"{_CHANNEL}/dead/progress", all_of_reason.progress),
    Place(f"{_CHANNEL}/dead/progress", all_of_reason.stop, "POST"),
    Place(f"{_CHANNEL}/message", message.show),
    Place(f"{_CHANNEL}/message/text", message.show_text, "POST"),
    Place(f"{_CHANNEL}/message/cancel", message.cancel, "POST"),
)
"""The views, each with its path."""
