"""The tests of the tests: each of these edits breaks a promise of the queue, and something must notice.

A mutant is a textual edit of the scripts as they are sent to Redis. Most are found by the random walks of
``support.queue_machine``; those that need an exact moment name the test that finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from chaos.mutants.clocks import CLOCKS
from chaos.mutants.counters import COUNTERS
from chaos.mutants.dead_letters import DEAD_LETTERS
from chaos.mutants.gate import GATE
from chaos.mutants.holds import HOLDS
from chaos.mutants.later import LATER
from chaos.mutants.operators import OPERATORS
from chaos.mutants.own_fault import OWN_FAULT
from chaos.mutants.pushes import PUSHES
from chaos.mutants.queue import QUEUE
from chaos.mutants.releases import RELEASES
from chaos.mutants.wakeups import WAKE_UPS
from redis.exceptions import ResponseError
from support.queue import PRODUCERS, WORKERS

from pushlane import scripts
from pushlane_worker.queue.store import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.mutants.mutant import Mutant
    from redis import Redis

NOTICED = (AssertionError, LookupError, ValueError, ResponseError)
MUTANTS = (
    *QUEUE,
    *CLOCKS,
    *GATE,
    *OWN_FAULT,
    *WAKE_UPS,
    *LATER,
    *DEAD_LETTERS,
    *OPERATORS,
    *HOLDS,
    *RELEASES,
    *COUNTERS,
    *PUSHES,
)


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mutant], None]:
    """Makes every script that a test loads from now on a mutant."""
    original = scripts.source

    def apply(mutant: Mutant) -> None:
        names = dict.fromkeys(PRODUCERS, scripts.PRODUCER) | dict.fromkeys(WORKERS, WORKER)
        applies = any(mutant.old in original(name, package) for name, package in names.items())
        assert applies, f"no script holds {mutant.old!r}: this mutant tests nothing any more"

        def source(name: str, package: str = scripts.PRODUCER) -> str:
            return original(name, package).replace(mutant.old, mutant.new)

        monkeypatch.setattr(scripts, "source", source)

    return apply


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_queue_is_noticed(redis: Redis, mutate: Callable[[Mutant], None], mutant: Mutant) -> None:
    """An edit that breaks a promise fails the random walks or the exact test."""
    mutate(mutant)
    with pytest.raises(NOTICED):
        mutant.found_by(redis)
