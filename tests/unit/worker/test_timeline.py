"""How `pushlane message` prints a timeline, whose order tests/unit/producer/test_timeline.py is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pushlane import MessageStatus, PushRecord
from pushlane_worker.cli.timeline import timeline

NOON: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
QUEUED: Final = MessageStatus(
    message_id="0123456789abcdef0123456789abcdef",
    channel="support",
    conversation="room",
    state="queued",
    reason=None,
    detail=None,
    attempts=0,
    maybe_delivered=False,
    accepted_at=NOON,
    joined_at=NOON,
    due_at=None,
    final_at=None,
    last_push=None,
    pushes=(),
    pushes_cut=False,
)
PUSH: Final = PushRecord(1, NOON + timedelta(seconds=1), "failed", 3, 10, 1200, lost=False, detail="HTTP 503")


def test_each_event_is_a_line() -> None:
    """A push with number, position, outcome, duration and reason, as far as there are any."""
    pushes = (
        PUSH,
        replace(
            PUSH, number=None, at=NOON + timedelta(seconds=2), outcome="throttled", position=1, size=2, detail=None
        ),
        replace(PUSH, number=2, at=NOON + timedelta(seconds=3), outcome="unknown", lost=True, duration_ms=None),
    )
    died = replace(QUEUED, state="dead", reason="unknown", final_at=NOON + timedelta(seconds=3))
    later = replace(died, joined_at=NOON + timedelta(milliseconds=5), pushes=pushes)
    assert timeline(later) == [
        "2026-11-30T12:00:00.000Z  accepted",
        "2026-11-30T12:00:00.005Z  joined its conversation",
        "2026-11-30T12:00:01.000Z  push 1    position 3 of 10   failed            1,200 ms  HTTP 503",
        "2026-11-30T12:00:02.000Z  push      position 1 of 2    throttled         1,200 ms",
        "2026-11-30T12:00:03.000Z  push 2    position 3 of 10   unknown        worker lost  HTTP 503",
        "2026-11-30T12:00:03.000Z  dead: unknown",
    ]
