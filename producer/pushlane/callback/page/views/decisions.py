"""What moderation decided lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import stream_entry
from pushlane.operators.decision_list import latest_decisions

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator

SHOWN: Final = 50


def show(operator: Operator, asked: Asked) -> View:
    """A page of decisions, latest first."""
    before = asked.query.get("before", "")
    made = latest_decisions(operator.redis, SHOWN, stream_entry(before))
    return framed(
        asked,
        "decisions.html",
        {
            "decisions": made,
            "unfed": operator.count_unfed(),
            "older": made[-1].entry if len(made) == SHOWN else None,
            "newest": not before,
        },
        section="/decisions",
    )
