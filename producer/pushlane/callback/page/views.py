"""The views, each with its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushlane.callback.page.view import Place, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.page.view import Asked
    from pushlane.operators.actions import Operator


def home(operator: Operator, _asked: Asked) -> View:
    """The channels."""
    return View("home.html", {"channels": operator.channels()})


PLACES: Sequence[Place] = (Place("/", home),)
