"""Replays or purges all dead letters of a reason: a dry run says how many, then steps that a person continues.

How far it is travels in the forms and addresses of these pages (``operators/bulk.py``). A person can change it, but can
reach nothing with that which the other pages would not allow.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import channel_in, whole_number
from pushlane.callback.page.view import Redirect
from pushlane.callback.page.views.channel import overview_of, path_of
from pushlane.callback.page.views.dead_letters import reason_in
from pushlane.operators import bulk
from pushlane.operators.bulk import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator

_STEPS: Final[Mapping[str, Callable[[Operator, str, Progress], Progress]]] = {
    "replay": bulk.replay,
    "purge": bulk.purge,
}
_RUN: Final = re.compile(r"[0-9a-f]{16}")
_END: Final = "end"
"""The cursor of a walk that is done; 0 is that of one which has not begun."""


def preview(operator: Operator, asked: Asked) -> View:
    """How many there are, or how many at least, and whether to go on."""
    channel = overview_of(operator, channel_in(asked))
    start = bulk.begin(operator, channel_in(asked), reason_in(asked.query.get("reason", "")))
    counted = bulk.count(operator, channel_in(asked), start)
    act = _act(asked.query.get("act", ""))
    values = {"channel": channel, "act": act, "counted": counted, "carried": _carried(start), "toggle": ""}
    return framed(asked, "preview.html", values)


def step(operator: Operator, asked: Asked) -> Redirect:
    """Does as many of them as a request has time for."""
    act = _act(asked.form.get("act", ""))
    done = _STEPS[act](operator, channel_in(asked), _progress(asked.form))
    return Redirect(f"{path_of(channel_in(asked), 'dead', 'progress')}?{urlencode({'act': act, **_carried(done)})}")


def progress(operator: Operator, asked: Asked) -> View:
    """How many are done and left, and a button for the next step."""
    channel, act = overview_of(operator, channel_in(asked)), _act(asked.query.get("act", ""))
    done = _progress(asked.query)
    values = {"channel": channel, "act": act, "progress": done, "carried": _carried(done), "toggle": ""}
    return framed(asked, "progress.html", values)


def _act(text: str) -> str:
    return text if text in _STEPS else "replay"


def _carried(done: Progress) -> dict[str, str | int]:
    cursor = _END if done.cursor is None else done.cursor
    return {**asdict(done), "reason": done.reason or "", "cursor": cursor, "full": int(done.full)}


def _progress(fields: Mapping[str, str]) -> Progress:
    def number(name: str) -> int:
        return whole_number(fields.get(name, ""))

    run, cursor = fields.get("run", ""), fields.get("cursor", "")
    return Progress(
        reason=reason_in(fields.get("reason", "")),
        newest=number("newest"),
        run=run if _RUN.fullmatch(run) else bulk.new_run(),
        cursor=None if cursor == _END else number("cursor"),
        looked_at=number("looked_at"),
        found=number("found"),
        done=number("done"),
        left=number("left"),
        full=bool(number("full")),
    )
