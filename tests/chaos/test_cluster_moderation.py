"""Moderation on a Redis Cluster while the node with its decisions dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.callback import callback, moderation
from support.cluster import Cluster, cluster
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.steady_questions import (
    FORBIDDEN,
    MESSAGES,
    PACE_S,
    RELAY,
    ask_all,
    check_answers,
    entries,
    key_of,
    question,
)
from support.steady_questions import spool_is_fed as is_fed
from support.waiting import wait_until

from pushlane import Hold, Producer, RoomMessage
from pushlane.clients import connect
from pushlane.keys import DECISIONS_PREFIX, channel_prefix
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pushlane import Receipt

PREFIX = channel_prefix("support")
HELD = range(0, MESSAGES, 5)
"""The questions whose messages wait in the channel; a third of them is forbidden."""
KILLED_AT = 200
LAG = round(1 / PACE_S)
"""So many questions are asked in a second, by which a replica on the same machine has everything."""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Cluster]:
    """The channel and the decisions have different masters."""
    with cluster(tmp_path / "cluster") as made:
        made.move_slot(PREFIX, next(node for node in made.masters if node is not made.master_of(DECISIONS_PREFIX)))
        yield made


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """One that is well."""
    with fake_api() as api:
        yield api


@pytest.fixture
def stack(nodes: Cluster, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """A worker, with a broker of its own."""
    with EmbeddedServer() as broker:
        stack = Stack(nodes.url, api, tmp_path, channel_settings(api.url) | {"PUSHLANE_BROKER_URL": broker.url})
        stack.worker("-c", "1").ready()
        yield stack
        stack.close()


def _hold(producer: Producer, number: int) -> Receipt:
    message = RoomMessage(f"held{number}", f"held {number}")
    return producer.send("support", message, hold=Hold(question(number)["MsgKey"], timeout=600))


def _arrived(api: FakeApi) -> Counter[str]:
    return Counter(text for room in api.rooms() for text in api.texts(room))


def _recorded(nodes: Cluster) -> set[int]:
    """The questions whose decision is in Redis; each is there once."""
    with connect(nodes.url, timeout=10) as client:
        keys = entries(client)
    assert len(keys) == len(set(keys))
    return {number for number in range(MESSAGES) if key_of(number) in set(keys)}


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(300)
def test_moderation_goes_on_when_the_master_of_the_decisions_dies(nodes: Cluster, stack: Stack, tmp_path: Path) -> None:
    """All answers are in time; what replication has not lost is relayed once, and decides on what is held for it."""
    master = nodes.master_of(DECISIONS_PREFIX)
    with Producer(nodes.url) as producer:
        held = {number: _hold(producer, number) for number in HELD}
        settings = moderation(tmp_path, **RELAY) | dict(stack.settings)
        with callback(tmp_path, nodes.url, settings, workers=2) as running:
            asked = asyncio.run(ask_all(running.url, {KILLED_AT: master.kill}))
            check_answers(asked, most_broken=0)
            wait_until(lambda: is_fed(tmp_path), "the spool to be fed", 60)
            recorded = _recorded(nodes)
            lost = set(range(MESSAGES)) - recorded
            print(f"\ndecisions lost by replication: {len(lost)} of {MESSAGES}")  # noqa: T201 # a figure of the run
            assert lost <= set(range(KILLED_AT - LAG, KILLED_AT + 1))

            forbidden = {number for number in recorded if asked.codes[number] == FORBIDDEN}
            expected = {f"hello {number}" for number in recorded - forbidden}
            expected |= {f"held {number}" for number in recorded - forbidden if number in HELD}
            wait_until(lambda: expected <= _arrived(stack.api).keys(), "what is relayed and what is released", 60)
            for number in forbidden.intersection(HELD):
                stack.wait_for_state(producer, held[number], "dead")
    arrived = _arrived(stack.api)
    assert set(arrived.values()) == {1}
    assert not arrived.keys() & {f"held {number}" for number in forbidden}
