"""A Redis Cluster of three masters, each with a replica, whose nodes a test kills and whose slots it moves."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from redis.crc import key_slot
from support.cluster_node import Node
from support.waiting import wait_until

from pushlane_worker.embedded import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SLOTS = 16_384
MASTERS = 3
FAILS_AFTER_MS = 1000
"""How long a node is silent before the others vote on it. Half a second to a second later its replica is the master."""
NEVER_FAILS_MS = 60_000
"""Without a replica there is nobody to vote for, and a busy machine must not take a node away."""
_AT_ONCE = 10
"""As many keys as redis-cli moves at once."""


@dataclass
class Cluster:
    """The nodes; the first three begin as masters."""

    nodes: Sequence[Node]

    @property
    def url(self) -> str:
        """What ``PUSHLANE_REDIS_URL`` would hold."""
        return f"redis+cluster://{','.join(node.name for node in self.nodes[:MASTERS])}"

    @property
    def alive(self) -> list[Node]:
        """The nodes that run."""
        return [node for node in self.nodes if node.runs]

    @property
    def masters(self) -> list[Node]:
        """The nodes that have slots."""
        owners = {owner for _, _, owner in self.alive[0].slots()}
        return [node for node in self.nodes if node.id in owners]

    def master_of(self, key: str) -> Node:
        """The node that has the key's slot."""
        slot = key_slot(key.encode())
        (owner,) = (owner for first, last, owner in self.alive[0].slots() if first <= slot <= last)
        return next(node for node in self.nodes if node.id == owner)

    def replica_of(self, master: Node) -> Node:
        """The one that is in sync with this master."""
        return next(node for node in self.alive if node.follows(master))

    def start(self) -> None:
        """Starts the nodes, which know each other from the beginning."""
        for node in self.nodes:
            known = "".join(f"{self._line(i, node)}\n" for i in range(len(self.nodes)))
            epochs = f"vars currentEpoch {MASTERS} lastVoteEpoch 0\n"
            node.write_configuration(known + epochs)
            node.start()
        self.wait_until_whole()

    def _line(self, number: int, reader: Node) -> str:
        node, master = self.nodes[number], self.nodes[number % MASTERS]
        myself = "myself," if node is reader else ""
        where = f"{node.id} {HOST}:{node.port}@{node.bus}"
        if node is not master:
            return f"{where} {myself}slave {master.id} 0 0 {number % MASTERS + 1} connected"
        first, last = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS - 1
        return f"{where} {myself}master - 0 0 {number + 1} connected {first}-{last}"

    def wait_until_whole(self) -> None:
        """Waits until every running node sees all slots served, and every running replica has all of its master."""
        for node in self.alive:
            wait_until(node.is_well, f"{node.name} to be well")

    def wait_for_promotion(self, killed: Node) -> None:
        """Waits until every running node has seen another one take over the slots of the killed one."""
        for node in self.alive:
            wait_until(partial(_has_replaced, node, killed), f"{node.name} to see the failover")
        self.wait_until_whole()

    def restart(self, node: Node) -> None:
        """Starts a killed node; waits until it is in sync as a replica of the one that took its slots."""
        node.start()
        wait_until(node.is_replica, f"{node.name} to be a replica")
        self.wait_until_whole()

    def move_slot(self, key: str, to: Node) -> None:
        """Moves the key's slot to another master: at once where the servers can (Valkey 9), else key by key."""
        slot, source = key_slot(key.encode()), self.master_of(key)
        if source.can("CLUSTER|MIGRATESLOTS"):
            source.client.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id)
        else:
            move_by_keys(slot, source, to)
        for node in self.alive:
            wait_until(partial(_sees, node, slot, to), f"{node.name} to see the slot moved")


def move_by_keys(slot: int, source: Node, to: Node) -> None:
    """As ``redis-cli --cluster reshard`` does: meanwhile some of the slot's keys are on the one, some on the other."""
    begin_move(slot, source, to)
    while keys := source.client.cluster("GETKEYSINSLOT", slot, _AT_ONCE):
        source.client.migrate(HOST, to.port, keys, 0, 5000)
    end_move(slot, source, to)


def begin_move(slot: int, source: Node, to: Node) -> None:
    """From now on the source asks clients to look for missing keys at the other one."""
    to.client.cluster("SETSLOT", slot, "IMPORTING", source.id)
    source.client.cluster("SETSLOT", slot, "MIGRATING", to.id)


def end_move(slot: int, source: Node, to: Node) -> None:
    """The slot belongs to the other one."""
    to.client.cluster("SETSLOT", slot, "NODE", to.id)
    source.client.cluster("SETSLOT", slot, "NODE", to.id)


def _sees(node: Node, slot: int, owner: Node) -> bool:
    return any(first <= slot <= last and has == owner.id for first, last, has in node.slots())


def _has_replaced(node: Node, killed: Node) -> bool:
    return killed.id not in {owner for _, _, owner in node.slots()}


@contextlib.contextmanager
def cluster(folder: Path, *, replicas: int = 1) -> Iterator[Cluster]:
    """A cluster whose slots are all served; each master has so many replicas."""
    timeout_ms = FAILS_AFTER_MS if replicas else NEVER_FAILS_MS
    made = Cluster([Node(folder / str(number), timeout_ms) for number in range((1 + replicas) * MASTERS)])
    try:
        made.start()
        yield made
    finally:
        for node in made.nodes:
            node.close()
