"""What a page says after an act. The address names the act and its numbers, never a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from pushlane.callback.page.formats import counted, shown
from pushlane.callback.page.parameters import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACT_FIELDS: Final = frozenset({"did", "of", "n", "left"})
"""The parameters of such an address."""
_MAX_CHARS: Final = 40
"""Of an id in an address; a message's has 32."""


def _always(sentence: str) -> Callable[[str, int, int], str]:
    return lambda _of, _n, _left: sentence


def _are(count: int, what: str) -> str:
    return f"{counted(count, 'dead letter')} {'is' if count == 1 else 'are'} {what}"


def _all_but(count: int, what: str, left: int) -> str:
    return f"{_are(count, what)}." + (f" {left:,} of the selected ones were no longer dead letters." if left else "")


_SENTENCES: Final[Mapping[str, Callable[[str, int, int], str]]] = {
    "paused": _always("The channel is paused: pushes in flight finish, and no more start. It still accepts messages."),
    "already-paused": _always("The channel was already paused."),
    "resumed": _always("The channel is resumed: it pushes as its gate allows."),
    "not-paused": _always("The channel was not paused."),
    "skipped": lambda message_id, _n, _left: (
        f"Message {shown(message_id)} is now a dead letter (exhausted). The messages behind it can go."
    ),
    "replayed": lambda _of, count, left: _all_but(count, "queued again", left),
    "purged": lambda _of, count, left: _all_but(count, "purged", left),
    "full": lambda _of, count, left: (
        f"The channel is full: {_are(count, 'queued again')}, and {left:,} are still dead letters."
    ),
    "not-started": _always("Nothing was started, because this one is still going on in the channel."),
    "cancelled": _always("The message is cancelled."),
    "maybe-delivered": _always("The message is cancelled, but an earlier push of it may have arrived."),
}


def told(query: Mapping[str, str]) -> str:
    """The sentence for an address with these parameters; empty if it names no act."""
    sentence = _SENTENCES.get(query.get("did", ""))
    if sentence is None:
        return ""
    count, left = whole_number(query.get("n", "")), whole_number(query.get("left", ""))
    return sentence(query.get("of", "")[:_MAX_CHARS], count, left)


def address(path: str, did: str, *, of: str = "", n: int = 0, left: int = 0, **more: str) -> str:
    """The address of a page that says this."""
    facts = {**more, "did": did, "of": of, "n": n or "", "left": left or ""}
    return f"{path}?{urlencode({name: value for name, value in facts.items() if value != ''})}"
