"""A message's timeline from the entries of its conversation's list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushlane.message_record import Header
from pushlane.push_record import MAX_PUSHES, PushRecord, read_pushes

if TYPE_CHECKING:
    from collections.abc import Sequence

T0 = 1_700_000_000_000
FIRST, SECOND, THIRD = ("0123456789abcdef" + word * 2 for word in ("aaaaaaaa", "bbbbbbbb", "cccccccc"))
QUEUED = Header("queued", None, False, 0, 0, 1, T0, T0, 0, 0, 0)  # noqa: FBT003 # not maybe delivered


def entry(at: int, flags: str, ids: str = "aaaaaaaa,bbbbbbbb", detail: str = "no route", took: int = 120) -> bytes:
    """As the scripts write it; flags: outcome, lost, attempt."""
    return f"{T0 + at} {took} {flags} {ids} {detail}".encode()


def numbers(entries: Sequence[bytes], attempts: int, state: str = "queued") -> tuple[list[int | None], bool]:
    """The numbers of the pushes of the first message, and whether earlier ones may be missing."""
    pushes, cut = read_pushes(entries, FIRST, replace(QUEUED, attempts=attempts, state=state))
    return [push.number for push in pushes], cut


def test_a_push_says_where_in_its_batch_the_message_was() -> None:
    """Position, size, outcome and duration, when it ended, and why."""
    entries = [entry(1000, "501"), entry(3000, "601", "bbbbbbbb", "")]
    pushes, cut = read_pushes(entries, SECOND, replace(QUEUED, attempts=2))
    first, second = (datetime.fromtimestamp((T0 + after) / 1000, tz=UTC) for after in (1000, 3000))
    assert pushes == (
        PushRecord(1, first, "failed", 2, 2, 120, lost=False, detail="no route"),
        PushRecord(2, second, "unknown", 1, 1, 120, lost=False, detail=None),
    )
    assert not cut


def test_a_push_without_the_message_is_none_of_its() -> None:
    """The list is that of the conversation."""
    assert read_pushes([entry(1, "501")], THIRD, QUEUED) == ((), False)


def test_a_lost_worker_left_no_duration() -> None:
    """When its lease was taken away says nothing about how long the push took."""
    ((push,), _) = read_pushes([entry(1, "611", took=0)], FIRST, replace(QUEUED, attempts=1))
    assert (push.outcome, push.lost, push.duration_ms) == ("unknown", True, None)


@pytest.mark.parametrize(
    ("flags", "attempts", "state", "expected"),
    [
        (["501", "501", "101"], 3, "delivered", [1, 2, 3]),
        (["501", "200", "400", "501"], 2, "queued", [1, None, None, 2]),
        (["200"], 1, "delivered", [None]),  # the delivery is not listed: no attempt was before it
        (["501", "501", "501"], 1, "queued", [None, None, 1]),  # replayed after the second one
        (["501", "501"], 0, "queued", [None, None]),  # just replayed
    ],
)
def test_attempts_are_numbered_from_one(
    flags: list[str], attempts: int, state: str, expected: list[int | None]
) -> None:
    """What is no attempt has no number, and a replay counts anew."""
    assert numbers([entry(at, each) for at, each in enumerate(flags)], attempts, state) == (expected, False)


def test_a_message_says_when_earlier_pushes_are_not_kept() -> None:
    """The list is full and begins after its acceptance, or it has spent more attempts than are listed."""
    full = [entry(at, "501") for at in range(MAX_PUSHES)]
    assert numbers(full, 100) == (list(range(81, 101)), True)
    assert numbers(full, MAX_PUSHES) == (list(range(1, 21)), True)
    assert numbers([entry(-1, "501", "cccccccc"), *full[1:]], 19) == (list(range(1, 20)), False)
    assert numbers(full[1:], 19) == (list(range(1, 20)), False)
    assert numbers([], 3) == ([], True)
    assert numbers([], 3, "delivered") == ([], True)
    assert numbers([], 1, "delivered") == ([], False)


@pytest.mark.parametrize(
    ("detail", "shown"),
    [(b"x" * 60, "x" * 60), (b"x" * 61, "x" * 60 + "…"), (b"x" * 59 + b"\xc3\xa9", "x" * 59 + "…"), (b"", None)],
    ids=["whole", "cut", "cut within a character", "none"],
)
def test_a_detail_says_that_it_was_cut(detail: bytes, shown: str | None) -> None:
    """The script leaves a byte more than is shown, and cuts bytes, not characters."""
    ((push,), _) = read_pushes([entry(1, "501", detail="") + detail], FIRST, replace(QUEUED, attempts=1))
    assert push.detail == shown
