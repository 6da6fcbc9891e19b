"""What operators did: each act on the page has a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.page import NAME, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.page import Person
    from support.queue import Queue

    Kill = Callable[..., None]


def test_every_act_is_written_down_with_who_did_it(person: Person, queue: Queue, kill: Kill) -> None:
    """Latest first: what, on what, and what came of it; asking for a text is an act."""
    kill("a", "a1", "a2", "a3")
    queue.enqueue("b", "b1", body=b'"secret"')
    person.do("/channels/support/pause")
    person.do("/channels/support/resume")
    assert "secret" in person.act("/channels/support/message/text", id="b1").text
    person.do("/channels/support/message/cancel", id="b1", sure="yes")
    person.do("/channels/support/dead/replay", only="a1")
    person.do("/channels/support/dead/purge", id=["a2"], sure="yes")
    person.act("/channels/support/blocked/skip", conversation="elsewhere")
    seen = text_of(person.see("/audit"))
    expected = [
        "skip support elsewhere not blocked",
        "purge support a2 1 purged",
        "replay support a1 1 queued again",
        "cancel support b1 cancelled",
        "show text support b1 shown",
        "resume support \u2013 resumed",
        "pause support \u2013 paused",
    ]
    assert [line for line in expected if f"{NAME} (page) {line}" not in seen] == []
    places = [seen.index(line) for line in expected]
    assert places == sorted(places)
    assert "secret" not in seen


def test_looking_is_no_act(person: Person, queue: Queue, kill: Kill) -> None:
    """Nor is a purge that only asks, nor a text that is gone."""
    kill("a", "a1")
    before = person.see("/audit")
    for path in ("/", "/channels/support", "/channels/support/dead/all?act=purge", "/decisions"):
        person.see(path)
    person.act("/channels/support/dead/purge", id=["a1"])
    person.act("/channels/support/message/text", id="nosuch")
    assert _table(person.see("/audit")) == _table(before)
    assert queue.header("a1").state == "dead"


def _table(html: str) -> str:
    return text_of(html).partition("All times")[0]
