"""Sentinels that change the primary under load, with and without its old connections ending."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest
from chaos.failovers.run import Strike, run
from support.sentinels import Sentinels, sentinels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 10


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Sentinels]:
    """A primary, two replicas and three sentinels."""
    with sentinels(tmp_path / "sentinels") as made:
        yield made


def _fail_over(made: Sentinels) -> Strike:
    old = made.primary

    def repair() -> None:
        made.wait_for_primary_other_than(old)
        made.wait_until_replicated()

    # The old primary takes writes until a sentinel has told it, some seconds after the promotion.
    return Strike("SENTINEL FAILOVER", made.fail_over, repair, loses_for_s=5.0)


def _kill(made: Sentinels) -> Strike:
    old = made.primary

    def repair() -> None:
        made.wait_for_primary_other_than(old)
        made.restart(old)

    return Strike("primary killed", old.kill, repair, loses_for_s=0.5)


def _demote(made: Sentinels) -> Strike:
    """Its connections survive, and it loses nothing."""
    return Strike("demotion", made.demote, made.wait_until_replicated)


def _faults(made: Sentinels) -> Iterator[Strike]:
    for fault in islice(cycle([_demote, _fail_over, _kill]), ROUNDS):
        yield fault(made)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_changes_of_the_primary_lose_only_what_replication_loses(service: Sentinels, tmp_path: Path) -> None:
    """State and broker are behind the sentinels: order holds, duplicates are explained, deliveries go on within 5 s."""
    problems = run(tmp_path, service.url, _faults(service), {})
    assert not problems, "\n".join(problems[:20])
