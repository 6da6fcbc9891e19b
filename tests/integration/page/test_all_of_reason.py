"""All dead letters of a reason: a count first, then it goes on by itself until it is done or somebody stops it."""

from __future__ import annotations

import re
import threading
from html import unescape
from typing import TYPE_CHECKING

import pytest
from support.page import text_of
from support.waiting import wait_until

from pushlane.callback.page.runs import AT_ONCE, Runs
from pushlane.callback.page.threads import AllBusy
from pushlane.operators import bulk
from pushlane.operators.actions import Operator
from pushlane.operators.audit import read_audit
from pushlane.operators.bulk import Bulk
from pushlane.operators.dead_letters import DeadLetters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.page import Person
    from support.queue import Queue

    from pushlane.operators.bulk import Act

    Kill = Callable[..., None]

ALL = "/channels/support/dead/all"
PROGRESS = "/channels/support/dead/progress"
LATER = 9_000_000_000_000
"""In ms: nothing dies after that."""
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def carried(html: str) -> dict[str, str]:
    """The fields of the page's form, but for its token."""
    form = html[html.index(f'action="{ALL}"') :]
    return {name: unescape(value) for name, value in _HIDDEN.findall(form[: form.index("</form>")]) if name != "csrf"}


@pytest.fixture
def operator(redis_url: str) -> Iterator[Operator]:
    """An operator on the test's server."""
    with Operator(redis_url, by="test") as operator:
        yield operator


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Each page of dead letters waits before it is read, and says how far it is at once, until this is set."""
    may_go = threading.Event()
    scan = DeadLetters.scan

    def waiting(*args: object) -> object:
        may_go.wait(30)
        return scan(*args)  # type: ignore[arg-type] # whatever they are

    monkeypatch.setattr(DeadLetters, "scan", waiting)
    monkeypatch.setattr(bulk, "TOLD_S", 0.0)
    yield may_go
    may_go.set()


def in_thread(bulk: Bulk) -> threading.Thread:
    """The thread that carries it out."""
    thread = threading.Thread(target=bulk.carry_out)
    thread.start()
    return thread


@pytest.mark.parametrize(("act", "word"), [("replay", "queued again"), ("purge", "purged")])
def test_a_count_says_how_many_and_then_it_is_done(
    person: Person, queue: Queue, kill: Kill, act: str, word: str
) -> None:
    """Those of the reason alone, nothing before the second button, and with one pair of entries in the audit."""
    kill("a", "a1", "a2", "a3")
    kill("b", "b1", reason="e")
    asks = person.see(f"{ALL}?act={act}&reason=rejected")
    assert f"3 dead letters would be {word}" in text_of(asks)
    assert queue.redis.zcard(f"{queue.prefix}dead") == 4
    seen = person.do(ALL, **carried(asks))
    assert f"3 dead letters of support {word}" in seen
    assert "None that was rejected is left" in seen
    assert queue.redis.zrange(f"{queue.prefix}dead", 0, -1) == [b"b1"]
    assert queue.redis.keys(f"{queue.prefix}replay:*") == []
    assert next((one.act, one.result) for one in read_audit(queue.redis, 10)) == (act, f"3 {word}")
    assert len(queue.redis.xrange("pushlane:1:audit")) == 3  # the first is the login


def test_any_reason_means_all(person: Person, queue: Queue, kill: Kill) -> None:
    """So does one that does not exist; an act that does not exist is the one that loses nothing."""
    kill("a", "a1")
    kill("b", "b1", reason="e")
    asks = person.see(f"{ALL}?act=nosuch&reason=nosuch")
    assert "2 dead letters would be queued again" in text_of(asks)
    assert "2 dead letters of support queued again" in person.do(ALL, **carried(asks))
    assert "There are none" in text_of(person.see(f"{ALL}?act=purge"))
    assert queue.counters()["depth"] == 2


@pytest.mark.single_server("it fills its memory")
def test_a_full_redis_lets_them_be_purged(operator: Operator, queue: Queue, kill: Kill) -> None:
    """Purging is what helps then, though nobody sees how far it is before it has helped."""
    kill("a", "a1", "a2")
    queue.redis.config_set("maxmemory", 1)
    try:
        Bulk(operator, "support", "purge", "rejected", LATER).carry_out()
    finally:
        queue.redis.config_set("maxmemory", 0)
    assert queue.redis.zcard(f"{queue.prefix}dead") == 0


def test_letters_that_die_after_the_count_are_left_alone(person: Person, queue: Queue, kill: Kill) -> None:
    """They were not counted."""
    kill("a", "a1")
    asks = person.see(f"{ALL}?act=purge&reason=")
    queue.now += 1
    kill("b", "b1")
    assert "1 dead letter of support purged" in person.do(ALL, **carried(asks))
    assert queue.redis.zrange(f"{queue.prefix}dead", 0, -1) == [b"b1"]


def test_a_form_that_was_tampered_with_does_nothing_odd(person: Person, queue: Queue, kill: Kill) -> None:
    """What makes no sense counts as missing."""
    kill("a", "a1")
    assert "0 dead letters of support purged" in person.do(ALL, act="purge", reason="'\"<", newest="-1")
    assert "0 dead letters of support purged" in person.do(ALL, act="purge", newest="9" * 40)
    assert queue.header("a1").state == "dead"


@pytest.mark.parametrize("act", ["replay", "purge"])
def test_many_are_done_in_their_old_order(act: Act, operator: Operator, queue: Queue, kill: Kill) -> None:
    """However many pages they fill."""
    ids = [f"m{number * 7919 % 1500:04}" for number in range(1500)]
    for start in range(0, 1500, 500):
        kill("a", *ids[start : start + 500])
    Bulk(operator, "support", act, "rejected", LATER).carry_out()
    ended = bulk.progress(operator, "support")
    assert ended is not None
    assert (ended.state, ended.total, ended.done) == ("done", 1500, 1500)
    assert queue.redis.keys(f"{queue.prefix}replay:*") == []
    if act == "replay":
        assert queue.waiting("a").split() == ids


def test_a_count_that_has_no_time_says_at_least(
    operator: Operator, queue: Queue, kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many of how many it has looked at."""
    monkeypatch.setattr(bulk, "COUNT_S", 0.0)
    kill("a", *(f"m{number}" for number in range(900)))
    counted = bulk.count(operator, "support", None)
    assert not counted.whole
    assert 0 < counted.found == counted.looked_at < 900
    assert queue.redis.zcard(f"{queue.prefix}dead") == 900


def test_whoever_looks_sees_how_far_it_is_and_may_stop_it(
    person: Person, operator: Operator, queue: Queue, kill: Kill, waits: threading.Event
) -> None:
    """In any process; its page loads itself again until the end, and what was not reached stays dead."""
    kill("a", *(f"m{number}" for number in range(900)))
    thread = in_thread(Bulk(operator, "support", "purge", "rejected", LATER))
    wait_until(lambda: bulk.going(operator, "support") is not None, "the beginning")
    assert "test is purging all that are rejected" in text_of(person.see("/channels/support/dead"))
    going = person.get(f"{PROGRESS}?live=1")
    assert "Looked at 0 of 900 dead letters, and found 0" in text_of(going.text)
    assert going.headers["refresh"] == "5"
    seen = person.do(ALL, act="replay", newest=str(LATER))
    assert "Nothing was started" in seen
    assert "Purging all dead letters of support that are rejected" in seen
    assert "It stops in a moment" in person.do(PROGRESS)
    waits.set()
    thread.join()
    ended = person.get(f"{PROGRESS}?live=1")
    assert "Stopped before the end" in text_of(ended.text)
    assert "refresh" not in ended.headers
    purged = re.search(r"(\d+) dead letters of support purged", text_of(ended.text))
    assert purged is not None
    assert int(purged[1]) + queue.redis.zcard(f"{queue.prefix}dead") == 900
    assert int(purged[1]) < 900


def test_a_replay_that_is_stopped_before_it_has_found_all_does_nothing(
    operator: Operator, queue: Queue, kill: Kill, waits: threading.Event
) -> None:
    """Else they would return in another order."""
    kill("a", *(f"m{number}" for number in range(900)))
    thread = in_thread(Bulk(operator, "support", "replay", None, LATER))
    wait_until(lambda: bulk.going(operator, "support") is not None, "the beginning")
    bulk.stop(operator, "support")
    waits.set()
    thread.join()
    ended = bulk.progress(operator, "support")
    assert ended is not None
    assert (ended.state, ended.done) == ("stopped", 0)
    assert (queue.counters()["depth"], queue.redis.zcard(f"{queue.prefix}dead")) == (0, 900)
    assert queue.redis.keys(f"{queue.prefix}replay:*") == []


def test_a_channel_that_is_full_takes_no_more(person: Person, queue: Queue, kill: Kill) -> None:
    """The page says how many are left."""
    kill("a", "a1", "a2", "a3")
    queue.redis.hset(f"{queue.prefix}channel", "max_queued", 2)
    seen = person.do(ALL, act="replay", newest=str(LATER))
    assert "2 dead letters of support queued again" in seen
    assert "The channel is full: 1 are still dead letters" in seen


def test_what_fails_is_told_and_a_process_that_is_over_leaves_no_claim(
    person: Person, operator: Operator, queue: Queue, kill: Kill
) -> None:
    """The first is in Redis for an hour, the second half a minute."""
    kill("a", "a1")
    queue.redis.set(f"{queue.prefix}details", "of another type")
    with pytest.raises(Exception, match="WRONGTYPE"):
        Bulk(operator, "support", "purge", None, LATER).carry_out()
    assert "Purging has failed" in text_of(person.see(PROGRESS))
    assert "Start again for the rest" in text_of(person.see(PROGRESS))
    queue.redis.delete(f"{queue.prefix}bulk")
    assert "No replay or purge is going on" in text_of(person.see(PROGRESS))


def test_two_at_once_in_a_process_and_none_once_it_stops(
    operator: Operator, queue: Queue, kill: Kill, waits: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes the interpreter from moderation, and a process that stops must not wait for minutes."""
    monkeypatch.setattr("pushlane.callback.page.runs.SOON_S", 0.0)
    kill("a", *(f"m{number}" for number in range(900)))
    runs = Runs()
    for _ in range(AT_ONCE):
        runs.start(Bulk(operator, "support", "purge", None, LATER))
    with pytest.raises(AllBusy):
        runs.start(Bulk(operator, "support", "purge", None, LATER))
    runs.close()
    waits.set()
    wait_until(lambda: "page-run" not in {thread.name for thread in threading.enumerate()}, "the end")
    assert queue.redis.zcard(f"{queue.prefix}dead") > 0
    with pytest.raises(AllBusy):
        runs.start(Bulk(operator, "support", "purge", None, LATER))
