"""Reads the decisions of moderation, which say nothing of what a message says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pushlane.keys import DECISIONS_PREFIX
from pushlane.message_record import from_ms

STREAM = f"{DECISIONS_PREFIX}stream"


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """A decision as it is listed. ``entry`` is its place in the stream; ``message`` is the platform's key of it.

    ``late``: it was made after the answer, so the platform got another one.
    """

    entry: str
    at: datetime | None
    verdict: str
    late: bool
    policy: str
    reason: str
    sender: str
    receiver: str
    message: str
    took_ms: int


def latest_decisions(client: Any, limit: int, before: str | None = None) -> list[MadeDecision]:  # noqa: ANN401 - see Inspector
    """At most ``limit`` decisions, latest first, of those listed before the entry ``before``."""
    newest = "+" if before is None else f"({before}"
    return [_made(entry, fields) for entry, fields in client.xrevrange(STREAM, max=newest, count=limit)]


def _made(entry: bytes, fields: Mapping[bytes, bytes]) -> MadeDecision:
    decision: dict[str, Any] = json.loads(fields[b"decision"])
    return MadeDecision(
        entry=entry.decode(),
        at=from_ms(decision["at"]),
        verdict=decision["verdict"],
        late=decision["late"],
        policy=decision["policy"],
        reason=decision["reason"],
        sender=decision["from"],
        receiver=decision["to"],
        message=decision["message"],
        took_ms=decision["took_ms"],
    )
