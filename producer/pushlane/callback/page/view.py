"""What a view gets, and what it returns. A view is a function that may block: it runs in a thread.

>>> def channel(operator: Operator, asked: Asked) -> View:
...     return View("channel.html", {"overview": operator.overview(asked.path["channel"])})
>>> def pause(operator: Operator, asked: Asked) -> Redirect:
...     operator.pause(asked.path["channel"])
...     return Redirect(f"/channels/{asked.path['channel']}")

An act is a view for POST: its session and its token have been checked. What a view may raise, and what is answered:
UnknownChannel (404), InvalidMessage (422), redis.RedisError and QueueUnavailable (503).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.datastructures import ImmutableMultiDict

    from pushlane.callback.page.fleet import Fleet
    from pushlane.callback.page.runs import Runs
    from pushlane.operators.actions import Operator


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of somebody who is logged in.

    Attributes:
        url: Its path and query, as they were sent.
        path: The parameters in the path, by name.
        query: Those behind the question mark.
        form: The fields of a POST, without the token.
        name: Who asks.
        fleet: Reads all channels, for everybody who asks.
        runs: Starts what goes on after the answer.
    """

    url: str
    path: Mapping[str, str]
    query: ImmutableMultiDict[str, str]
    form: ImmutableMultiDict[str, str]
    name: str
    fleet: Fleet
    runs: Runs


@dataclass(frozen=True, slots=True)
class View:
    """A page: the template, its values (``csrf``, ``user`` and ``stylesheet`` are added) and further headers."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirect:
    """After an act: the browser gets this address of ours, and a reload does not repeat the act (303)."""

    to: str


@dataclass(frozen=True, slots=True)
class Place:
    """A view's route; ``path`` is Starlette's, such as ``/channels/{channel}``."""

    path: str
    show: Callable[[Operator, Asked], View | Redirect]
    method: Literal["GET", "POST"] = "GET"
