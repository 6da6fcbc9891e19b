"""Blocked conversations, and skipping what blocks one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.page import text_of
from support.queue import settle

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from support.page import Person
    from support.queue import Queue

BLOCKED = "/channels/support/blocked"


def _block(queue: Queue, *rooms: str, detail: str = "no route") -> None:
    for room in rooms:
        queue.enqueue(room, f"{room}1", f"{room}2")
    while claims := queue.turn().claims:
        failed = [settle(one, Outcome.FAILED, wait_ms=60_000, dead="00", detail=detail) for one in claims]
        queue.turn(*failed, free=-1)


def test_a_blocked_conversation_is_listed_with_its_head(person: Person, queue: Queue) -> None:
    """Why, since when, how often it was tried, what waits behind it, and when it is tried again."""
    assert "No conversation is blocked" in text_of(person.see(BLOCKED))
    _block(queue, "a")
    seen = text_of(person.see(BLOCKED))
    assert "a no route" in seen
    assert "next try 2023-11-14 22:14:20 UTC 1 1 a1 Skip" in seen


def test_skipping_sends_the_head_to_the_dead_letters(person: Person, queue: Queue) -> None:
    """And says which message that was."""
    _block(queue, "a")
    assert "Message a1 is now a dead letter" in person.do(f"{BLOCKED}/skip", conversation="a")
    assert queue.header("a1").state == "dead"
    assert queue.waiting("a") == "a2"


def test_what_cannot_be_skipped_is_told_on_the_list(person: Person, queue: Queue) -> None:
    """A push that is in flight, and a conversation that is not blocked."""
    _block(queue, "a")
    queue.now += 60_000
    assert queue.turn().claims
    answer = person.act(f"{BLOCKED}/skip", conversation="a")
    assert (answer.status_code, "a push of its head is in flight" in answer.text) == (409, True)
    answer = person.act(f"{BLOCKED}/skip", conversation="elsewhere")
    assert (answer.status_code, "elsewhere was not skipped: it is not blocked" in answer.text) == (409, True)
    assert "was not skipped" in person.act(f"{BLOCKED}/skip").text


def test_many_blocked_conversations_are_shown_in_pages(person: Person, queue: Queue) -> None:
    """Fifty on a page, longest blocked first."""
    for number in range(53):
        _block(queue, f"r{number:02}")
        queue.now += 1
    first, second = text_of(person.see(BLOCKED)), text_of(person.see(f"{BLOCKED}?from=50"))
    assert "53 conversations" in first
    assert "r49 no route" in first
    assert "r50 no route" not in first
    assert "51 to 53" in second
    assert "r50 no route" in second
    assert "from here on" in text_of(person.see(f"{BLOCKED}?from=500"))
