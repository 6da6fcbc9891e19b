"""A channel's dead letters, latest first, and replaying or purging those that are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.page import told
from pushlane.callback.page.framed import framed
from pushlane.callback.page.parameters import channel_in, start_in
from pushlane.callback.page.view import Redirect
from pushlane.callback.page.views.channel import overview_of, path_of
from pushlane.message_record import REASON_CODES
from pushlane.operators import bulk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator
    from pushlane.operators.dead_letters import DeadLetter

SHOWN: Final = 50
"""On a page, so the most that can be chosen."""


def show(operator: Operator, asked: Asked) -> View:
    """A page of the list: of all of them, or of those with a reason."""
    start, reason = start_in(asked), reason_in(asked.query.get("reason", ""))
    channel = overview_of(operator, channel_in(asked))
    page = operator.dead_letters(channel_in(asked)).page(start, SHOWN, reason)
    following = start + page.looked_at
    return framed(
        asked,
        "dead_letters.html",
        {
            "channel": channel,
            "letters": page.letters,
            "reasons": sorted(REASON_CODES),
            "reason": reason,
            "going": bulk.going(operator, channel_in(asked)),
            "start": start,
            "looked_at": page.looked_at,
            "following": following if following < channel.dead_letters else None,
        },
    )


def replay(operator: Operator, asked: Asked) -> Redirect:
    """Puts the chosen ones back into the queue, oldest first."""
    letters = _chosen(operator, asked)
    with operator.replay(channel_in(asked)) as run:
        run.add({letter.message_id: letter.sequence for letter in letters})
        for _ in run.steps():
            pass
    absent = len(_ids(asked)) - len(letters)
    did, left = ("full", run.left) if run.full else ("replayed", absent)
    return _back(asked, did, n=run.replayed, left=left)


def purge(operator: Operator, asked: Asked) -> Redirect | View:
    """Deletes the content of the chosen ones, once the person has seen which ones these are."""
    if asked.form.get("sure") != "yes":
        values = {"channel": overview_of(operator, channel_in(asked)), "letters": _chosen(operator, asked)}
        return framed(asked, "purge.html", values)
    ids = _ids(asked)
    purged = operator.purge(channel_in(asked), ids)
    return _back(asked, "purged", n=purged, left=len(ids) - purged)


def reason_in(text: str) -> str | None:
    """The reason with this name; None, which means any, for everything else."""
    return text if text in REASON_CODES else None


def _ids(asked: Asked) -> list[str]:
    """That of the row whose button was pressed, or those of the selected rows."""
    ids = asked.form.getlist("only") or asked.form.getlist("id")
    return list(dict.fromkeys(ids))[:SHOWN]


def _chosen(operator: Operator, asked: Asked) -> Sequence[DeadLetter]:
    letters = operator.dead_letters(channel_in(asked))
    ids = _ids(asked)
    absent = set(letters.absent(ids))
    return list(letters.read([one for one in ids if one not in absent]))


def _back(asked: Asked, did: str, *, n: int, left: int) -> Redirect:
    reason = reason_in(asked.form.get("reason", "")) or ""
    return Redirect(told.address(path_of(channel_in(asked), "dead"), did, n=n, left=left, reason=reason))
