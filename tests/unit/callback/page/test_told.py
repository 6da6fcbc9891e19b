"""What a page says after an act, from an address that anybody could have written."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from pushlane.callback.page.told import address, told


def said(url: str) -> str:
    """What the page at this address says."""
    return told(dict(parse_qsl(urlsplit(url).query)))


@pytest.mark.parametrize(
    ("did", "n", "left", "sentence"),
    [
        ("replayed", 1, 0, "1 dead letter is queued again."),
        ("replayed", 2, 1, "2 dead letters are queued again. 1 of the selected ones were no longer dead letters."),
        ("purged", 2000, 0, "2,000 dead letters are purged."),
        ("full", 3, 4, "The channel is full: 3 dead letters are queued again, and 4 are still dead letters."),
        ("cancelled", 0, 0, "The message is cancelled."),
    ],
)
def test_an_act_is_told_with_its_numbers(did: str, n: int, left: int, sentence: str) -> None:
    """In one sentence or two."""
    assert said(address("/x", did, n=n, left=left)) == sentence


def test_an_address_keeps_what_else_it_says() -> None:
    """A filter, an id; what is empty is left out."""
    assert address("/x", "purged", n=1, reason="") == "/x?did=purged&n=1"
    assert address("/x", "cancelled", id="a b&c") == "/x?id=a+b%26c&did=cancelled"


def test_an_address_from_elsewhere_says_little() -> None:
    """No unknown act, no number that is none, no long id, nothing that turns the reading direction."""
    assert said("/x?did=Pwned&n=1") == ""
    assert said("/x") == ""
    assert said("/x?did=purged&n=-1&left=1e9") == "0 dead letters are purged."
    assert said("/x?did=skipped&of=" + "x" * 99) == (
        f"Message {'x' * 40} is now a dead letter (exhausted). The messages behind it can go."
    )
    assert "\u202e" not in said("/x?did=skipped&of=%E2%80%AE")
