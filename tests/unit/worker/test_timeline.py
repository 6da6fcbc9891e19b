"""How `pushlane message` tells a message's timeline."""

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


def test_a_delivery_at_the_first_try_is_two_lines() -> None:
    """It joined when it was accepted, and no push is listed."""
    delivered = replace(QUEUED, state="delivered", attempts=1, final_at=NOON + timedelta(milliseconds=150))
    assert timeline(delivered) == ["2026-11-30T12:00:00.000Z  accepted", "2026-11-30T12:00:00.150Z  delivered"]


def test_pushes_stand_between_joining_and_the_end() -> None:
    """Each with number, position, outcome, duration and reason, as far as there are any."""
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


def test_a_replayed_message_joins_after_its_earlier_pushes() -> None:
    """In the order of time, whatever the numbers are."""
    again = replace(QUEUED, joined_at=NOON + timedelta(hours=1), pushes=(replace(PUSH, number=None),))
    assert [line.split()[1] for line in timeline(again)] == ["accepted", "push", "joined"]


def test_a_timeline_says_where_pushes_are_missing() -> None:
    """Before those that are listed, or all of them."""
    cut = replace(QUEUED, pushes=(PUSH,), pushes_cut=True)
    assert [line.partition("  ")[2][:9] for line in timeline(cut)] == ["accepted", "… earlier", "push 1   "]
    assert timeline(replace(cut, pushes=()))[1].endswith("… earlier pushes are not kept")
