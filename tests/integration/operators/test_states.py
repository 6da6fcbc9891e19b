"""Many channels of a cluster while one of its nodes is away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import redis
from support.channels import register
from support.cluster import cluster
from support.command import pushlane
from support.shell import first_line

from pushlane.clients import connect
from pushlane.keys import CHANNELS, UNFED, channel_prefix
from pushlane.operators import states
from pushlane.operators.inspection import Inspector
from pushlane.operators.overview import Overview
from pushlane.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = [f"c{number:02}" for number in range(12)]

BROKER = {"PUSHLANE_BROKER_URL": "redis://127.0.0.1:9/0"}


@dataclass
class Maimed:
    """A cluster without one of its nodes, and the channels that were on it. The node of what they share is there."""

    url: str
    gone: list[str]


@pytest.fixture
def maimed(tmp_path: Path) -> Iterator[Maimed]:
    """With nobody to take over."""
    with cluster(tmp_path, replicas=0) as nodes:
        with connect(nodes.url, timeout=5) as client:
            for name in NAMES:
                register(client, name)
        needed = (nodes.master_of(CHANNELS), nodes.master_of(UNFED))
        node = next(node for node in nodes.masters if node not in needed)
        gone = [name for name in NAMES if nodes.master_of(channel_prefix(name)) is node]
        node.kill()
        yield Maimed(nodes.url, gone)


def test_status_tells_which_channels_did_not_answer(maimed: Maimed) -> None:
    """They are not taken for unregistered; the others are shown, and the command has failed."""
    ended = pushlane("status", redis_url=maimed.url, settings=BROKER)
    assert (ended.code, ended.err) == (1, f"pushlane: 3 channels cannot be read: {', '.join(maimed.gone)}\n")
    for name in NAMES:
        why = "Error 111 connecting to " if name in maimed.gone else "gate open; "
        assert f"\n{name}: {why}" in ended.out
    for document in (
        json.loads(pushlane("status", "--json", redis_url=maimed.url, settings=BROKER).out),
        first_line(maimed.url, "status", "--watch", "--json", **BROKER),
    ):
        told = document["channels"]
        assert [one["channel"] for one in told] == NAMES
        assert [one["channel"] for one in told if one["registered"] is None] == maimed.gone
        assert {bool(one.get("problem")) for one in told if one["registered"] is None} == {True}


@pytest.mark.parametrize("command", ["blocked", "channel list"])
def test_other_lists_show_what_they_can_and_fail(maimed: Maimed, command: str) -> None:
    """With the same words."""
    ended = pushlane(*command.split(), redis_url=maimed.url, settings=BROKER)
    assert (ended.code, ended.err) == (1, f"pushlane: 3 channels cannot be read: {', '.join(maimed.gone)}\n")
    assert ended.out


def test_a_node_that_is_away_is_asked_once(maimed: Maimed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand channels, each fifty would otherwise cost a second or two."""
    asked: list[str] = []
    call_all = Script.call_all

    def call(script: Script, client: redis.Redis, keys: list[str], *args: str) -> list[Any]:
        asked.extend(keys)
        return call_all(script, client, keys, *args)

    monkeypatch.setattr(states, "AT_ONCE", 1)
    monkeypatch.setattr(Script, "call_all", call)
    with Inspector(maimed.url) as inspector:
        found = inspector.states(NAMES)
    assert list(found) == NAMES
    assert [name for name, state in found.items() if isinstance(state, redis.ConnectionError)] == maimed.gone
    assert [name for name, state in found.items() if isinstance(state, Overview)] == [
        name for name in NAMES if name not in maimed.gone
    ]
    assert len(asked) == len(NAMES) - len(maimed.gone) + 1


def test_a_message_is_not_called_unknown_while_a_node_is_away(maimed: Maimed) -> None:
    """It may be there."""
    there = [name for name in NAMES if name not in maimed.gone]
    with Inspector(maimed.url) as inspector:
        assert inspector.find("nosuch", there) == []
        with pytest.raises(redis.ConnectionError):
            inspector.find("nosuch", NAMES)
