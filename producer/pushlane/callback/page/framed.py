"""The view of a page with what all of them have: where it is, what an act has done, and whether it updates itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from pushlane.callback.page.told import ACT_FIELDS, told
from pushlane.callback.page.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushlane.callback.page.view import Asked

LIVE_S: Final = 5
"""How often a live page is loaded again."""
LIVE: Final = "live"
"""The parameter of a page's address that makes it so."""


def framed(
    asked: Asked,
    template: str,
    values: Mapping[str, Any],
    *,
    section: str = "/",
    problem: str = "",
    status: int = 200,
    is_final: bool = False,
) -> View:
    """The view. Only a page that can be loaded again may be live: none that answers a form.

    Args:
        asked: The request.
        template: The page's.
        values: The template's own.
        section: The address of the part of the page that it belongs to.
        problem: Why an act was not done, as a sentence.
        status: The status of the answer.
        is_final: Whether it need not be loaded again whatever its address says.
    """
    live = not (asked.form or is_final) and is_live(asked.query)
    frame = {
        "section": section,
        "said": told(asked.query),
        "problem": problem,
        "live": live,
        "now": datetime.now(UTC),
        "toggle": "" if asked.form or is_final else _toggled(asked, live=live),
    }
    return View(template, {**frame, **values}, status, {"Refresh": str(LIVE_S)} if live else {})


def is_live(query: Mapping[str, str]) -> bool:
    """Whether a page at this address loads itself again, so that nobody need be there who asks for it."""
    return query.get(LIVE) == "1"


def _toggled(asked: Asked, *, live: bool) -> str:
    """The address of this page, live or not, which no longer tells what an act has done."""
    kept = [(name, value) for name, value in asked.query.multi_items() if name not in {LIVE, *ACT_FIELDS}]
    query = urlencode(kept if live else [*kept, (LIVE, "1")])
    path = asked.url.partition("?")[0]
    return f"{path}?{query}" if query else path
