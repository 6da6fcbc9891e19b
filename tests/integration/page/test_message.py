"""One message: what became of it, its text on demand, cancelling it, and finding it by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.channels import push, register
from support.page import text_of

from pushlane import Producer, RoomMessage, ThirdPartyMessage
from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from support.page import Person

MESSAGE = "/channels/support/message"
SECRET = "the parcel is under the mat"


@pytest.fixture
def producer(redis: Redis, redis_url: str) -> Iterator[Producer]:
    """A producer for `support` and `crm`."""
    register(redis)
    register(redis, "crm", kind="third_party")
    with Producer(redis_url) as producer:
        yield producer


def test_a_message_is_shown_without_its_text(person: Person, producer: Producer) -> None:
    """The text is not even in the HTML, nor is that of any list."""
    sent = producer.send("support", RoomMessage("room-7", SECRET, sender_eid="agent-9"))
    html = person.see(f"{MESSAGE}?id={sent.message_id}")
    assert f"Message {sent.message_id} queued" in text_of(html)
    assert "Conversation room-7" in text_of(html)
    for page in ("/", "/channels/support", "/channels/support/dead", "/channels/support/blocked", "/decisions"):
        html += person.see(page)
    assert SECRET not in html
    assert "agent-9" not in html


def test_its_text_is_shown_to_whoever_asks_for_it(person: Person, producer: Producer) -> None:
    """By a form; a text as it is, an object as JSON, and who sent it."""
    sent = producer.send("support", RoomMessage("r", f"{SECRET}\n\u202eolleh", sender_eid="agent-9"))
    shown = person.act(f"{MESSAGE}/text", id=sent.message_id)
    assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
    assert f"{SECRET}\n" in shown.text
    assert "sender eid: agent-9" in text_of(shown.text)
    other = producer.send("crm", ThirdPartyMessage("u", {"type": "text", "text": SECRET}))
    assert f'"text": "{SECRET}"' in text_of(person.act("/channels/crm/message/text", id=other.message_id).text)
    assert person.get(f"{MESSAGE}/text").status_code == 405


def test_a_text_that_is_gone_is_told(person: Person, producer: Producer, redis_url: str) -> None:
    """That of a delivered message, and of one that never was."""
    sent = producer.send("support", RoomMessage("r", SECRET))
    push(redis_url)
    seen = person.see(f"{MESSAGE}?id={sent.message_id}")
    assert "The text of a delivered message is not kept" in text_of(seen)
    for message_id in (sent.message_id, "nosuch"):
        answer = person.act(f"{MESSAGE}/text", id=message_id)
        assert (answer.status_code, "Its text is not kept" in text_of(answer.text)) == (409, True)
        assert SECRET not in answer.text


def test_a_dead_message_can_be_replayed_from_its_page(person: Person, producer: Producer, redis_url: str) -> None:
    """It says why it died, and when."""
    sent = producer.send("support", RoomMessage("r", SECRET))
    push(redis_url, Outcome.REJECTED, dead="1", reason="r")
    seen = text_of(person.see(f"{MESSAGE}?id={sent.message_id}"))
    assert f"Message {sent.message_id} dead" in seen
    assert "Reason rejected Detail said so" in seen
    assert SECRET in person.act(f"{MESSAGE}/text", id=sent.message_id).text
    assert "queued again" in person.do("/channels/support/dead/replay", only=sent.message_id)


def test_cancelling_says_whether_it_was_done(person: Person, producer: Producer) -> None:
    """And why not. It asks first."""
    sent = producer.send("support", RoomMessage("r", SECRET))
    asks = person.act(f"{MESSAGE}/cancel", id=sent.message_id)
    assert (asks.status_code, "Cancel this message?" in asks.text) == (200, True)
    assert f"Message {sent.message_id} queued" in text_of(person.see(f"{MESSAGE}?id={sent.message_id}"))
    assert "The message is cancelled." in person.do(f"{MESSAGE}/cancel", id=sent.message_id, sure="yes")
    assert "Cancel this message?" not in person.act(f"{MESSAGE}/cancel", id=sent.message_id).text
    answer = person.act(f"{MESSAGE}/cancel", id=sent.message_id, sure="yes")
    assert (answer.status_code, "no longer in the queue" in answer.text) == (409, True)
    answer = person.act(f"{MESSAGE}/cancel", id="nosuch", sure="yes")
    assert (answer.status_code, "there is no such message" in answer.text) == (409, True)


def test_a_message_that_is_not_known_is_a_page_that_says_so(person: Person, producer: Producer) -> None:
    """Whatever its id looks like."""
    assert producer.status("support", "x") is None
    for message_id in ("nosuch", "", "a/b%3Fc", "%00", "%F0%9F%98%80", "x" * 5000):
        assert "knows no message" in text_of(person.see(f"{MESSAGE}?id={message_id}", 404))


def test_a_message_is_found_by_its_id_alone(person: Person, producer: Producer) -> None:
    """In whichever channel it is, or in the one that is named."""
    sent = producer.send("crm", ThirdPartyMessage("u", {"a": 1}))
    found = person.get(f"/find?id={sent.message_id}%20")
    assert (found.status_code, found.headers["location"]) == (303, f"/channels/crm/message?id={sent.message_id}")
    assert person.get(f"/find?channel=crm&id={sent.message_id}").status_code == 303
    assert "The channel knows no message" in text_of(person.see(f"/find?channel=support&id={sent.message_id}", 404))
    assert "No channel knows a message nosuch" in text_of(person.see("/find?id=nosuch", 404))
    assert "Find a message by its ID" in text_of(person.see("/find"))


def test_each_push_that_did_not_deliver_is_in_the_timeline(person: Person, producer: Producer, redis_url: str) -> None:
    """With its outcome and why."""
    sent = producer.send("support", RoomMessage("r", SECRET))
    push(redis_url, Outcome.FAILED, dead="1", reason="a")
    seen = text_of(person.see(f"{MESSAGE}?id={sent.message_id}"))
    timeline = seen[seen.index("Timeline") : seen.index("Text ")]
    assert "accepted" in timeline
    assert "push 1 took 0 ms failed said so" in timeline
    assert timeline.index("failed") < timeline.index("dead: exhausted")
