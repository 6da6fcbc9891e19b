"""All dead letters of a reason: a dry run first, then steps that never take longer than a request may."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from support.page import text_of

from pushlane.operators import bulk
from pushlane.operators.actions import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.page import Person
    from support.queue import Queue

    Kill = Callable[..., None]

ALL = "/channels/support/dead/all"
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def carried(html: str) -> dict[str, str]:
    """The fields of the page's form, which it carries from step to step."""
    form = html[html.index(f'action="{ALL}"') :]
    return {name: unescape(value) for name, value in _HIDDEN.findall(form[: form.index("</form>")]) if name != "csrf"}


@pytest.fixture
def operator(redis_url: str) -> Iterator[Operator]:
    """An operator on the test's server."""
    with Operator(redis_url, by="test") as operator:
        yield operator


@pytest.mark.parametrize(("act", "word"), [("replay", "queued again"), ("purge", "purged")])
def test_a_dry_run_says_how_many_and_then_it_is_done(
    person: Person, queue: Queue, kill: Kill, act: str, word: str
) -> None:
    """Those of the reason alone, and nothing before the second button."""
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


def test_any_reason_means_all(person: Person, queue: Queue, kill: Kill) -> None:
    """So does one that does not exist; an act that does not exist is the one that loses nothing."""
    kill("a", "a1")
    kill("b", "b1", reason="e")
    asks = person.see(f"{ALL}?act=nosuch&reason=nosuch")
    assert "2 dead letters would be queued again" in text_of(asks)
    assert "2 dead letters of support queued again" in person.do(ALL, **carried(asks))
    assert "There are none" in text_of(person.see(f"{ALL}?act=purge"))
    assert queue.counters()["depth"] == 2


def test_letters_that_die_after_the_dry_run_are_left_alone(person: Person, queue: Queue, kill: Kill) -> None:
    """They were not counted."""
    kill("a", "a1")
    asks = person.see(f"{ALL}?act=purge&reason=")
    queue.now += 1
    kill("b", "b1")
    assert "1 dead letter of support purged" in person.do(ALL, **carried(asks))
    assert queue.redis.zrange(f"{queue.prefix}dead", 0, -1) == [b"b1"]


def test_a_form_that_was_tampered_with_does_nothing_odd(person: Person, queue: Queue, kill: Kill) -> None:
    """What makes no sense counts as missing; the name of a run cannot reach another key."""
    kill("a", "a1")
    odd = {"act": "purge", "reason": "'\"<", "newest": "-1", "run": "../x", "cursor": "x", "looked_at": "9" * 40}
    assert "0 dead letters of support purged" in person.do(ALL, **odd)
    assert "0 dead letters of support purged" in person.do(ALL, act="purge", cursor="9" * 20)  # over 64 bits
    assert queue.header("a1").state == "dead"


@pytest.mark.parametrize(("act", "step"), [("replay", bulk.replay), ("purge", bulk.purge)])
def test_steps_that_take_no_time_come_to_an_end(
    act: str,
    step: Callable[..., bulk.Progress],
    operator: Operator,
    queue: Queue,
    kill: Kill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each does at least one round trip; a replay puts nothing back before it has gathered all, in their old order."""
    monkeypatch.setattr(bulk, "STEP_S", 0.0)
    ids = [f"m{number * 7919 % 1500:04}" for number in range(1500)]
    for start in range(0, 1500, 500):
        kill("a", *ids[start : start + 500])
    progress, steps = bulk.begin(operator, "support", "rejected"), 0
    while not progress.ended:
        progress, steps = step(operator, "support", progress), steps + 1
        assert act == "purge" or not progress.done or progress.cursor is None
    assert (progress.done, progress.found, progress.left) == (1500, 1500, 0)
    assert steps >= 1500 // 200
    assert queue.redis.keys(f"{queue.prefix}replay:*") == []
    if act == "replay":
        assert queue.waiting("a").split() == ids


def test_a_dry_run_that_has_no_time_says_at_least(
    operator: Operator, queue: Queue, kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many of how many it has looked at."""
    monkeypatch.setattr(bulk, "STEP_S", 0.0)
    kill("a", *(f"m{number}" for number in range(900)))
    counted = bulk.count(operator, "support", bulk.begin(operator, "support", None))
    assert counted.cursor is not None
    assert 0 < counted.found == counted.looked_at < 900
    assert queue.redis.zcard(f"{queue.prefix}dead") == 900
