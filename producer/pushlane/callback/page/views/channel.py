"""One channel in full, and its pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.page import told
from pushlane.callback.page.chart import chart_of
from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import channel_in
from pushlane.callback.page.view import Redirect
from pushlane.errors import UnknownChannel

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator
    from pushlane.operators.overview import Overview

_FIRST: Final = 5
"""How many of its blocked conversations and dead letters the channel's own page shows."""


def show(operator: Operator, asked: Asked) -> View:
    """The page of a channel."""
    channel = channel_in(asked)
    overview, letters = overview_of(operator, channel), operator.dead_letters(channel)
    return framed(
        asked,
        "channel.html",
        {
            "channel": overview,
            "workers": operator.workers()[overview.queue],
            "chart": chart_of(operator.throughput([channel]).get(channel, ())),
            "blocked": list(operator.blocked(channel, _FIRST)),
            "letters": list(letters.latest(_FIRST)),
        },
    )


def unknown(operator: Operator, asked: Asked) -> View:
    """Its last pushes of unknown outcome."""
    return framed(asked, "unknown.html", {"channel": overview_of(operator, channel_in(asked))})


def pause(operator: Operator, asked: Asked) -> Redirect:
    """Starts no more pushes of it."""
    channel = channel_in(asked)
    return Redirect(told.address(path_of(channel), "paused" if operator.pause(channel) else "already-paused"))


def resume(operator: Operator, asked: Asked) -> Redirect:
    """Ends the pause."""
    channel = channel_in(asked)
    return Redirect(told.address(path_of(channel), "resumed" if operator.resume(channel) else "not-paused"))


def overview_of(operator: Operator, channel: str) -> Overview:
    """The channel's state. Raises UnknownChannel."""
    overview = operator.overview(channel)
    if overview is None:
        raise UnknownChannel(channel)
    return overview


def path_of(channel: str, *parts: str) -> str:
    """The address of the channel's page, or of one below it; a channel's name needs no escaping."""
    return "/".join(("/channels", channel, *parts))
