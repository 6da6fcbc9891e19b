"""What operators did lately, on this page and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushlane.callback.page.framed import framed
from pushlane.operators.audit import read_audit

if TYPE_CHECKING:
    from pushlane.callback.page.view import Asked, View
    from pushlane.operators.actions import Operator

SHOWN: Final = 100


def show(operator: Operator, asked: Asked) -> View:
    """The last acts."""
    return framed(asked, "audit.html", {"entries": list(read_audit(operator.redis, SHOWN))}, section="/audit")
