"""A Redis Cluster whose masters die and whose slots move under load."""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest
from chaos.failovers.run import Strike, run
from redis.crc import key_slot
from support.cluster import Cluster, cluster, move_by_keys
from support.waiting import wait_until

from pushlane.keys import channel_prefix
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cluster_node import Node

PREFIX = channel_prefix("support")
ROUNDS = 10
UNREPLICATED = 100
"""So many accepted messages are lost with their master."""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Cluster]:
    """Three masters, each with a replica."""
    with cluster(tmp_path / "cluster") as made:
        yield made


def _kill(made: Cluster) -> Strike:
    master = made.master_of(PREFIX)
    return Strike("master killed", master.kill, partial(_restart, made, master), loses_for_s=0.5)


def _kill_ahead(made: Cluster) -> Strike:
    """Its replica is promoted without what the master has accepted in the last quarter of a second."""
    master = made.master_of(PREFIX)
    replica = made.replica_of(master)

    def strike() -> None:
        replica.freeze()
        master.client.client_kill_filter(_type="replica")  # else the kernel keeps the writes for the frozen replica
        until = _accepted(master) + UNREPLICATED
        wait_until(lambda: _accepted(master) >= until, "writes that are not replicated")
        master.kill()
        replica.resume()

    return Strike("master killed, ahead", strike, partial(_restart, made, master), loses_for_s=1.5)


def _accepted(master: Node) -> int:
    return int(master.client.hget(f"{PREFIX}counters", "accepted"))


def _restart(made: Cluster, master: Node) -> None:
    made.wait_for_promotion(master)
    made.restart(master)


def _other(made: Cluster) -> Node:
    return next(node for node in made.masters if node is not made.master_of(PREFIX))


def _move(made: Cluster) -> Strike:
    return Strike("slot moved", lambda: made.move_slot(PREFIX, _other(made)), made.wait_until_whole)


def _move_by_keys(made: Cluster) -> Strike:
    def move() -> None:
        move_by_keys(key_slot(PREFIX.encode()), made.master_of(PREFIX), _other(made))

    return Strike("slot moved key by key", move, made.wait_until_whole)


def _faults(made: Cluster) -> Iterator[Strike]:
    for fault in islice(cycle([_kill, _move, _kill_ahead, _move_by_keys]), 2 * ROUNDS):
        yield fault(made)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_kills_and_moves_of_the_channels_slot_lose_only_what_replication_loses(nodes: Cluster, tmp_path: Path) -> None:
    """The order holds, duplicates are explained, and delivery goes on within 5 s, twenty times."""
    with EmbeddedServer() as broker:
        problems = run(tmp_path, nodes.url, _faults(nodes), {"PUSHLANE_BROKER_URL": broker.url})
    assert not problems, "\n".join(problems[:20])
