"""What moderation decided lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.page import decide, text_of

if TYPE_CHECKING:
    from redis import Redis
    from support.page import Person


def test_decisions_are_listed_latest_first(person: Person, redis: Redis) -> None:
    """With verdict, policy, reason and between whom."""
    assert "has decided nothing within the retention time" in text_of(person.see("/decisions"))
    decide(redis, 1)
    decide(redis, 2, verdict="forbid", policy="blocked_words", reason="casino", late=True)
    seen = text_of(person.see("/decisions"))
    assert "2023-11-14 22:13:22 forbid late blocked_words casino alice bob 2_2_1557481126 3 ms" in seen
    assert seen.index("22:13:22") < seen.index("22:13:21")


def test_fifty_are_on_a_page(person: Person, redis: Redis) -> None:
    """The next page begins behind the last one, however many were added meanwhile."""
    for number in range(53):
        decide(redis, number)
    first = person.see("/decisions")
    assert first.count('<th scope="row"') == 50
    older = first[first.index('href="/decisions?before=') :].split('"')[1]
    decide(redis, 100)
    assert person.see(older).count('<th scope="row"') == 3
    assert person.see("/decisions?before=nonsense").count('<th scope="row"') == 50
    assert "no older decisions" in text_of(person.see("/decisions?before=0-1"))


def test_an_entry_that_cannot_exist_means_the_latest(person: Person, redis: Redis) -> None:
    """Redis refuses numbers of more than 64 bits, which is not the same as being away."""
    decide(redis, 1)
    for before in ("99999999999999999999-0", f"1-{2**64}", "1-", "-1", "01-1", "1-1-1", "(1-1", "\u0661-1"):
        assert person.see(f"/decisions?before={before}").count('<th scope="row"') == 1
    assert "no older decisions" in text_of(person.see(f"/decisions?before=1-{2**64 - 1}"))
