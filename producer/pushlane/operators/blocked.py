"""Blocked conversations: the head is in trouble, and the messages after it wait behind it.

The scripts list a conversation when a push of its head fails, or its head is held or unreadable, and remove it when
that is over. Its state is where the conversation is now: ``in_flight`` (a push is in flight), ``delayed`` (waits for
its next try), ``unreadable`` (its head is in a newer version's layout; checked again at the next try), ``held`` (its
head waits for a decision until the next try, when the hold or the message expires) or ``ready`` (tried as soon as the
channel may push).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pushlane.keys import channel_prefix
from pushlane.message import check_channel_name
from pushlane.message_record import attempts_of, from_ms, state_of
from pushlane.operators.messages import read_messages

PAGE = 200
"""Conversations per page, which takes two round trips."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A conversation that cannot move. ``message_id`` is that of its head; ``behind`` counts the messages after it.

    ``attempts`` is None if the head is unreadable, ``next_try`` if no time is set for it.
    """

    channel: str
    conversation: str
    since: datetime | None
    why: str
    state: str
    next_try: datetime | None
    message_id: str | None
    attempts: int | None
    behind: int


def read_blocked(client: Any, channel: str, limit: int, first: int = 0) -> Iterator[Blocked]:  # noqa: ANN401 - see inspection.connect
    """At most ``limit`` of them, longest blocked first, from place ``first`` (0 is the first) on.

    The cost does not depend on how much waits behind them.
    """
    prefix = channel_prefix(check_channel_name(channel))
    for start in range(first, first + limit, PAGE):
        stop = min(start + PAGE, first + limit)
        listed = client.zrange(f"{prefix}blocked", start, stop - 1, withscores=True)
        if listed:
            yield from _page(client, channel, listed)
        if len(listed) < stop - start:
            return


def _page(client: Any, channel: str, listed: Sequence[tuple[bytes, float]]) -> Iterator[Blocked]:  # noqa: ANN401 - as above
    prefix = channel_prefix(channel)
    names = [name for name, _ in listed]
    with client.pipeline(transaction=False) as batch:
        batch.hmget(f"{prefix}blocked_by", names)
        for place in ("leases", "unreadable", "held", "delayed"):
            batch.zmscore(f"{prefix}{place}", names)
        for name in names:
            batch.lindex(_list(prefix, name), 0).llen(_list(prefix, name))
        reasons, leases, unreadable, held, delayed, *lists = batch.execute()
    ids, lengths = lists[::2], lists[1::2]
    heads = read_messages(client, prefix, [(message_id or b"").decode() for message_id in ids])
    for i, (name, since) in enumerate(listed):
        state, next_try = _state(leases[i], unreadable[i], held[i], delayed[i])
        yield Blocked(
            channel=channel,
            conversation=name.decode(),
            since=from_ms(int(since)),
            why=(reasons[i] or b"").decode(errors="replace"),
            state=state,
            next_try=next_try,
            message_id=None if ids[i] is None else ids[i].decode(),
            attempts=attempts_of(heads[i][1]) if state_of(heads[i][0]) else None,
            behind=max(lengths[i] - 1, 0),
        )


def _list(prefix: str, conversation: bytes) -> bytes:
    return f"{prefix}conversation:".encode() + conversation


def _state(leased: float | None, *waits: float | None) -> tuple[str, datetime | None]:
    if leased is not None:
        return "in_flight", None
    for state, until in zip(("unreadable", "held", "delayed"), waits, strict=True):
        if until is not None:
            return state, from_ms(int(until))
    return "ready", None
