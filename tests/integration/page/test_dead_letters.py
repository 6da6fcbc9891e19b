"""Dead letters: listed latest first, filtered by reason, replayed and purged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.page import text_of

from pushlane.keys import channel_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from support.page import Person
    from support.queue import Queue

    Kill = Callable[..., None]

DEAD = "/channels/support/dead"


def test_dead_letters_are_listed_latest_first(person: Person, queue: Queue, kill: Kill) -> None:
    """With reason, detail, attempts and time, and no text."""
    assert "There are no dead letters" in text_of(person.see(DEAD))
    kill("a", "a1", detail="bad words")
    queue.now += 1000
    kill("b", "b1", reason="e")
    html = person.see(DEAD)
    assert text_of(html).index("b1 b expired") < text_of(html).index("a1 a rejected maybe delivered bad words")
    assert "2 dead letters, latest first" in text_of(html)


def test_fifty_are_on_a_page(person: Person, kill: Kill) -> None:
    """The next page begins behind the last one shown."""
    kill("a", *(f"m{number:02}" for number in range(53)))
    first = person.see(DEAD)
    assert first.count('type="checkbox"') == 50
    assert 'href="/channels/support/dead?reason=&amp;from=50"' in first
    assert person.see(f"{DEAD}?reason=&from=50").count('type="checkbox"') == 3
    assert "There are no further dead letters" in text_of(person.see(f"{DEAD}?from=999999999999999999"))


def test_a_reason_shows_its_letters_alone(person: Person, queue: Queue, kill: Kill) -> None:
    """However many others lie between them, a page looks at 2,000 at most, and the next one goes on behind these."""
    kill("a", "old", reason="e")
    queue.now += 1
    for start in range(0, 2100, 100):
        kill("b", *(f"m{number:04}" for number in range(start, start + 100)))
    seen = person.see(f"{DEAD}?reason=expired")
    assert "None of the 2,000 dead letters from here on is expired" in text_of(seen)
    assert "reason=expired&amp;from=2000" in seen
    assert "old a expired" in text_of(person.see(f"{DEAD}?reason=expired&from=2000"))
    page = person.see(f"{DEAD}?reason=rejected&from=100")
    assert page.count('type="checkbox"') == 50
    assert "from=150" in page


def test_one_is_replayed_by_the_button_in_its_row(person: Person, queue: Queue, kill: Kill) -> None:
    """Whatever else is selected."""
    kill("a", "a1")
    kill("b", "b1")
    seen = person.do(f"{DEAD}/replay", only="a1", id="b1")
    assert "1 dead letter is queued again." in seen
    assert (queue.header("a1").state, queue.header("b1").state) == ("queued", "dead")


def test_the_selected_ones_are_replayed_in_their_old_order(person: Person, queue: Queue, kill: Kill) -> None:
    """Those that are gone by then are counted, and no trace of the run is left."""
    for message_id in ("a1", "a2", "a3"):
        kill("a", message_id)
    seen = person.do(f"{DEAD}/replay", id=["a3", "nosuch", "a1"], reason="rejected")
    assert "2 dead letters are queued again. 1 of the selected ones were no longer dead letters." in seen
    assert queue.waiting("a") == "a1 a3"
    assert queue.redis.keys(f"{queue.prefix}replay:*") == []


def test_a_full_channel_says_how_many_stay_dead(person: Person, redis: Redis, queue: Queue, kill: Kill) -> None:
    """The oldest go first."""
    for message_id in ("a1", "a2", "a3"):
        kill("a", message_id)
    redis.hset(f"{channel_prefix('support')}channel", "max_queued", 2)
    seen = person.do(f"{DEAD}/replay", id=["a3", "a2", "a1"])
    assert "The channel is full: 2 dead letters are queued again, and 1 are still dead letters." in seen
    assert queue.header("a3").state == "dead"


def test_a_purge_shows_what_it_would_delete_and_asks(person: Person, queue: Queue, kill: Kill) -> None:
    """Nothing is deleted before the second button."""
    kill("a", "a1", "a2", "a3")
    asks = person.act(f"{DEAD}/purge", id=["a1", "a2", "nosuch"])
    assert asks.status_code == 200
    assert "Purge 2 dead letters of support?" in text_of(asks.text)
    assert {queue.header(one).state for one in ("a1", "a2", "a3")} == {"dead"}
    assert queue.redis.zcard(f"{queue.prefix}dead") == 3
    assert "2 dead letters are purged." in person.do(f"{DEAD}/purge", id=["a1", "a2"], sure="yes")
    assert queue.redis.zcard(f"{queue.prefix}dead") == 1


def test_choosing_nothing_does_nothing(person: Person, kill: Kill) -> None:
    """And says so."""
    kill("a", "a1")
    assert "0 dead letters are queued again." in person.do(f"{DEAD}/replay")
    assert "No dead letter is selected" in text_of(person.act(f"{DEAD}/purge").text)
