"""One channel in full, its pause, and its unknown pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.page import text_of
from support.queue import Queue, settle

from pushlane.keys import channel_prefix
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis
    from support.page import Person


def test_a_channel_shows_gate_rate_places_and_outcomes(person: Person, redis: Redis, queue: Queue) -> None:
    """With the gate's reason and until when it is closed."""
    queue.enqueue("a", "a1", "a2")
    queue.turn(settle(queue.turn().claims[0], Outcome.FAILED, wait_ms=1000, detail="no route"), free=-1)
    gate = ["state", "throttled", "reason", "HTTP 429", "until", "1700000030000"]
    redis.hset(f"{channel_prefix('support')}gate", items=gate)
    seen = text_of(person.see("/channels/support"))
    assert "support throttled" in seen
    assert "Reason HTTP 429" in seen
    assert "Until 2023-11-14 22:13:50" in seen
    assert "Delayed 1" in seen
    assert "Failed 1" in seen
    assert "none consumes its queue pushlane" in seen
    assert "no route" in seen


def test_the_last_hour_is_drawn_and_told_in_words(person: Person, queue: Queue) -> None:
    """For those who do not see the drawing."""
    queue.enqueue("a", "a1")
    html = person.see("/channels/support")
    assert 'role="img" aria-labelledby="chart-title chart-text"' in html
    assert "Messages delivered in each of the last 60 minutes" in html


def test_pausing_and_resuming_say_what_happened(person: Person, queue: Queue) -> None:
    """Also when there was nothing to do; the button is the one that makes sense."""
    assert ">Pause</button>" in person.see("/channels/support")
    assert "The channel is paused" in person.do("/channels/support/pause")
    assert queue.gate()["paused"]
    assert ">Resume</button>" in person.see("/channels/support")
    assert "was already paused" in person.do("/channels/support/pause")
    assert "The channel is resumed" in person.do("/channels/support/resume")
    assert "was not paused" in person.do("/channels/support/resume")
    assert "paused" not in queue.gate()


def test_unknown_pushes_are_listed_with_their_messages(person: Person, queue: Queue) -> None:
    """When, of which conversation, and what broke."""
    assert "No push has ended without a clear answer" in text_of(person.see("/channels/support/unknown"))
    queue.enqueue("a", "a1", "a2")
    queue.turn(settle(queue.turn().claims[0], Outcome.UNKNOWN, wait_ms=1000, detail="read timeout"), free=-1)
    seen = text_of(person.see("/channels/support/unknown"))
    assert "The latest 1 of 1" in seen
    assert "a 2023-11-14 22:13:20 read timeout a1 a2" in seen


@pytest.mark.parametrize("path", ["", "/blocked", "/dead", "/unknown", "/message?id=x", "/dead/all", "/dead/progress"])
def test_an_unknown_channel_is_a_page_that_says_so(person: Person, path: str) -> None:
    """And so is a name that no channel can have."""
    assert "is not registered" in text_of(person.see(f"/channels/nosuch{path}", 404))
    assert "must be lower-case" in text_of(person.see(f"/channels/No-Such{path}", 422))


@pytest.mark.parametrize(
    "path",
    ["pause", "resume", "blocked/skip", "dead/replay", "dead/purge", "dead/all", "message/cancel", "message/text"],
)
def test_acting_on_an_unknown_channel_is_a_page_that_says_so(person: Person, path: str) -> None:
    """Nothing is done."""
    answer = person.act(f"/channels/nosuch/{path}", id="x", only="x", conversation="c", sure="yes")
    assert answer.status_code == 404
    assert "is not registered" in text_of(answer.text)


def test_a_sentence_in_the_address_is_not_shown(person: Person, queue: Queue) -> None:
    """An address names an act and numbers; a link from elsewhere cannot make the page say what it likes."""
    queue.enqueue("a", "a1")
    seen = text_of(person.see("/channels/support?did=Pwned&of=evil&n=evil&left=evil"))
    assert "Pwned" not in seen
    assert "evil" not in seen
