"""Replays or purges all dead letters of a reason: a count first, then it goes on by itself, and a page says how far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushlane.callback.page import told
from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import channel_in, whole_number
from pushlane.callback.page.view import Redirect
from pushlane.callback.page.views.channel import overview_of, path_of
from pushlane.callback.page.views.dead_letters import reason_in
from pushlane.operators import bulk

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator


def preview(operator: Operator, asked: Asked) -> View:
    """How many there are, or how many at least, and whether to go on."""
    channel, reason = overview_of(operator, channel_in(asked)), reason_in(asked.query.get("reason", ""))
    counted = bulk.count(operator, channel_in(asked), reason)
    act = _act(asked.query.get("act", ""))
    values = {"channel": channel, "act": act, "reason": reason, "counted": counted, "toggle": ""}
    return framed(asked, "preview.html", values)


def start(operator: Operator, asked: Asked) -> Redirect:
    """Starts it, unless another one is still going on in the channel."""
    channel, form = channel_in(asked), asked.form
    if bulk.going(operator, channel):
        return _to_progress(channel, "not-started")
    reason, newest = reason_in(form.get("reason", "")), whole_number(form.get("newest", ""))
    asked.runs.start(bulk.Bulk(operator, channel, _act(form.get("act", "")), reason, newest))
    return _to_progress(channel)


def stop(operator: Operator, asked: Asked) -> Redirect:
    """Stops what is going on."""
    bulk.stop(operator, channel_in(asked))
    return _to_progress(channel_in(asked))


def progress(operator: Operator, asked: Asked) -> View:
    """How far it is, loaded again until its end; then what came of it."""
    known = bulk.progress(operator, channel_in(asked))
    values = {"channel": overview_of(operator, channel_in(asked)), "progress": known, "toggle": ""}
    return framed(asked, "progress.html", values, is_final=known is None or known.state != "going")


def _act(text: str) -> bulk.Act:
    return "purge" if text == "purge" else "replay"


def _to_progress(channel: str, did: str = "") -> Redirect:
    return Redirect(told.address(path_of(channel, "dead", "progress"), did, live="1"))
