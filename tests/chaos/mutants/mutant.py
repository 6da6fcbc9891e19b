"""A mutant: a textual edit of the scripts as they are sent to Redis, and what finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import Phase, Verbosity, settings
from support.queue_machine import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

WALKS = settings(
    max_examples=200,
    stateful_step_count=50,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),  # shrinking takes a hundred times as long as finding
    report_multiple_bugs=False,
    verbosity=Verbosity.quiet,
)
TAIL = "tail(prefix, bell, channel, {}, now, {})"


def walks(redis: Redis) -> None:
    """The random walks of ``support.queue_machine``."""
    walk(redis, WALKS)


@dataclass(frozen=True)
class Mutant:
    """An edit of the scripts: ``old`` becomes ``new`` wherever it stands."""

    name: str
    old: str
    new: str
    found_by: Callable[[Redis], None] = walks
