"""The page at `/`: what waits where, and what needs somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.channels import register
from support.page import text_of
from support.queue import Queue, settle

from pushlane.keys import CHANNELS, channel_prefix
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from redis import Redis
    from support.page import Person


def test_each_channel_has_a_line_and_all_have_a_sum(person: Person, redis: Redis) -> None:
    """What waits, what is blocked and what is dead, in numbers."""
    support, crm = Queue(redis), Queue(redis, "crm")
    support.enqueue("a", "a1", "a2")
    crm.enqueue("b", "b1")
    crm.turn(settle(crm.turn().claims[0], Outcome.FAILED, wait_ms=1000), free=-1)
    crm.enqueue("c", "c1")
    seen = text_of(person.see("/"))
    assert "Messages waiting 4" in seen
    assert "Blocked conversations 1" in seen
    assert "support cinnox open 2" in seen
    assert "crm cinnox open 2" in seen


def test_what_needs_somebody_comes_first(person: Person, redis: Redis, queue: Queue) -> None:
    """A gate that is not open, a queue that nobody consumes although something waits, and, last, a pause."""
    queue.enqueue("a", "a1")
    for name in ("idle", "paused", "broken"):
        register(redis, name)
    person.act("/channels/paused/pause")
    redis.hset(f"{channel_prefix('broken')}gate", mapping={"state": "broken", "reason": "10 failures in a row"})
    seen = text_of(person.see("/"))
    troubles = seen[seen.index("Needs a look") : seen.index("Show channels")]
    assert "broken : gate broken, 10 failures in a row" in troubles
    assert "paused : paused" in troubles
    assert "support : no worker consumes its queue pushlane" in troubles
    assert "idle" not in troubles
    assert troubles.index("support :") < troubles.index("paused :")


def test_channels_are_found_by_name_and_shown_in_pages(person: Person, redis: Redis) -> None:
    """A hundred on a page, whatever a link or a person writes into the address."""
    for number in range(103):
        register(redis, f"c{number:03}")
    first = person.see("/")
    assert first.count('<th scope="row">') == 100
    assert "c099" in first
    assert "c100" not in first
    assert person.see("/?from=100").count('<th scope="row">') == 3
    assert person.see("/?name=c10").count('<th scope="row">') == 3
    assert "No channel has this in its name" in text_of(person.see("/?name=nosuch"))
    for odd in ("-1", "x", "9" * 30, "1e3", "\u0663"):
        assert person.see(f"/?from={odd}")


def test_the_fullest_channel_comes_first_on_demand(person: Person, redis: Redis) -> None:
    """By what waits, blocks, is dead or is oldest; otherwise by name."""
    for name, count in (("a", 1), ("b", 3), ("c", 2)):
        Queue(redis, name).enqueue("r", *(f"{name}{n}" for n in range(count)))
    assert _order(person.see("/?by=waiting")) == "bca"
    assert _order(person.see("/?by=nosuch")) == "abc"
    for key in ("blocked", "dead", "oldest"):
        assert sorted(_order(person.see(f"/?by={key}"))) == ["a", "b", "c"]


def test_a_channel_of_a_newer_release_hides_no_other(person: Person, redis: Redis, queue: Queue) -> None:
    """Its line says why it shows no more; its own page says it in a sentence."""
    queue.enqueue("a", "a1")
    register(redis, "newer")
    redis.hset(f"{channel_prefix('newer')}channel", "version", 99)
    assert "support cinnox open 1" in text_of(person.see("/"))
    assert "registered by a newer release" in text_of(person.see("/"))
    assert "registered by a newer release" in text_of(person.see("/channels/newer", 503))
    assert "registered by a newer release" in text_of(person.act("/channels/newer/pause").text)


def test_a_name_that_no_channel_can_have_costs_nobody_the_page(person: Person, redis: Redis, queue: Queue) -> None:
    """Somebody has put it into the set by hand; a message is found all the same."""
    queue.enqueue("a", "a1")
    redis.sadd(CHANNELS, "bad name", b"\xff")
    assert "support cinnox open 1" in text_of(person.see("/"))
    assert person.get("/find?id=a1").status_code == 303


def test_a_damaged_channel_hides_no_other(person: Person, redis: Redis, queue: Queue) -> None:
    """Its line says what is wrong, and so does what needs somebody."""
    queue.enqueue("a", "a1")
    register(redis, "edited")
    redis.hset(f"{channel_prefix('edited')}channel", "version", "two")
    seen = text_of(person.see("/?by=waiting"))
    assert "support cinnox open 1" in seen
    assert seen.count("cannot be read: ") == 2


def test_without_a_channel_the_page_says_how_to_get_one(person: Person) -> None:
    """In a sentence."""
    assert "pushlane channel register" in text_of(person.see("/"))


def test_a_page_updates_itself_only_when_it_is_asked_to(person: Person, queue: Queue) -> None:
    """By a header; the link turns it on and off, and keeps the rest of the address."""
    queue.enqueue("a", "a1")
    still = person.get("/?by=waiting")
    assert "refresh" not in still.headers
    assert 'href="/?by=waiting&amp;live=1"' in still.text
    live = person.get("/?by=waiting&live=1")
    assert live.headers["refresh"] == "5"
    assert 'href="/?by=waiting"' in live.text
    assert "refresh" not in person.act("/channels/support/dead/purge?live=1").headers


def _order(html: str) -> str:
    rows = html[html.index("<tbody>") :].split('<th scope="row"><a href="/channels/')[1:]
    return "".join(row[0] for row in rows)
