"""The queue as this tree's own commands and producers show it, in the form of a storm's snapshot of Redis.

Nothing here knows a key or a record's layout, which are what two releases may differ in.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chaos.storm.evidence import Record
from chaos.versions.producer_program import CHANNEL
from redis import RedisError

from pushlane import Producer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pushlane import MessageStatus
    from pushlane.operators.actions import Operator
    from pushlane.operators.overview import Overview, UnknownPush

_NEVER: Final = 0.0


@dataclass(slots=True)
class Watch:
    """Looks again and again, as an overview lists the last pushes of unknown outcome alone."""

    operator: Operator
    unknown: dict[UnknownPush, None] = field(default_factory=dict)

    def look(self) -> Overview | None:
        """The present overview; None if Redis had no time for it."""
        overview = None
        with contextlib.suppress(RedisError):
            overview = self.operator.overview(CHANNEL)
        if overview is not None:
            self.unknown |= dict.fromkeys(reversed(overview.last_unknown))
        return overview


def take(redis_url: str, watch: Watch, sequences: Mapping[str, int]) -> dict[str, Any]:
    """The document; ``sequences`` are the ids that producers were told, with their numbers."""
    overview = watch.operator.overview(CHANNEL)
    assert overview is not None
    with Producer(redis_url) as producer:
        found = [(producer.status(CHANNEL, one), number) for one, number in sequences.items()]
    records = {status.message_id: _facts(record_of(status, number)) for status, number in found if status is not None}
    counters = {
        "depth": overview.depth,
        "accepted": overview.accepted,
        "delivered": overview.delivered,
        # An overview does not tell how many were cancelled: whoever is nowhere else.
        "cancelled": overview.accepted - overview.delivered - overview.dead_letters - overview.depth,
        "dead": overview.dead_letters,
        "pushes_unknown": overview.unknown_pushes,
    }
    unknown = [_unknown(push) for push in watch.unknown]
    channel = {"counters": counters, "dead": overview.dead_letters, "unknown": unknown, "records": records}
    return {"channels": {CHANNEL: channel}, "leftovers": []}


def record_of(status: MessageStatus, sequence: int) -> Record:
    """What a producer is told of a message, whose number it has got before."""
    accepted = _seconds(status.accepted_at)
    return Record(
        channel=status.channel,
        conversation=status.conversation,
        state=status.state,
        reason=status.reason,
        detail=status.detail or "",
        maybe_delivered=status.maybe_delivered,
        attempts=status.attempts,
        sequence=sequence,
        accepted=accepted,
        joined=accepted,
        final=_seconds(status.final_at),
    )


def _facts(record: Record) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name != "channel"}


def _unknown(push: UnknownPush) -> dict[str, Any]:
    return {"at": _seconds(push.at), "ids": push.message_ids, "lost": push.lost, "detail": push.detail}


def _seconds(moment: datetime | None) -> float:
    return _NEVER if moment is None else moment.timestamp()
