"""The evidence of a run with failovers, in the form of a storm's, whose judges then judge it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaos.failovers.load import CHANNEL
from chaos.storm.evidence import Arrival, Evidence, Unknown
from chaos.versions.snapshot import record_of

from pushlane import Producer
from pushlane.clients import connect
from pushlane.keys import channel_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chaos.storm.evidence import Asked, Record
    from support.stack import FakeApi


def gather(accepted: Mapping[str, Asked], api: FakeApi, redis_url: str) -> Evidence:
    """What producers, the API and Redis know of these messages, once the queue is empty."""
    arrivals = sorted(_arrivals(api), key=lambda one: one.at)
    records = dict(_records(accepted, redis_url))
    return Evidence(messages=accepted, arrivals=arrivals, records=records, unknown=list(_unknown(redis_url)))


def _arrivals(api: FakeApi) -> Iterator[Arrival]:
    for room in api.rooms():
        for entry in api.room(room):
            yield Arrival(CHANNEL, room, entry.text, entry.at_ms / 1000)


def _records(accepted: Mapping[str, Asked], redis_url: str) -> Iterator[tuple[str, Record]]:
    with Producer(redis_url, timeout=10) as producer:
        for one in accepted.values():
            status = producer.status(CHANNEL, one.id)
            if status is not None:
                yield one.id, record_of(status, one.receipts[-1][0])


def _unknown(redis_url: str) -> Iterator[Unknown]:
    client: Any = connect(redis_url, timeout=10)  # redis-py's types mix the replies of its clients
    with client:
        for entry, fields in client.xrange(f"{channel_prefix(CHANNEL)}unknown"):
            at_s = int(entry.partition(b"-")[0]) / 1000
            ids = fields[b"message_ids"].decode().split(",")
            yield Unknown(CHANNEL, at_s, ids, lost=fields[b"lost"] == b"1")
