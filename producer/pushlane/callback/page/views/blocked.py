"""A channel's blocked conversations, longest first, and skipping what blocks one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.page import told
from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import channel_in, start_in
from pushlane.callback.page.view import Redirect
from pushlane.callback.page.views.channel import overview_of, path_of

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator

SHOWN: Final = 50
_NOT_SKIPPED: Final = {
    "in_flight": "was not skipped: a push of its head is in flight. Try again when it has ended.",
    "unreadable": "was not skipped: its head was written by a newer release. Upgrade this one.",
    "not_blocked": "was not skipped: it is not blocked, or no longer.",
}


def show(operator: Operator, asked: Asked, problem: str = "") -> View:
    """A page of the list."""
    start = start_in(asked)
    values = {
        "channel": overview_of(operator, channel_in(asked)),
        "blocked": list(operator.blocked(channel_in(asked), SHOWN, start)),
        "start": start,
        "size": SHOWN,
    }
    return framed(asked, "blocked.html", values, problem=problem, status=409 if problem else 200)


def skip(operator: Operator, asked: Asked) -> Redirect | View:
    """Sends the head of a conversation to the dead letters."""
    conversation = asked.form.get("conversation", "")
    skipped = operator.skip(channel_in(asked), conversation)
    if skipped.message_id is None:
        return show(operator, asked, f"{conversation} {_NOT_SKIPPED[skipped.result]}")
    return Redirect(told.address(path_of(channel_in(asked), "blocked"), "skipped", of=skipped.message_id))
