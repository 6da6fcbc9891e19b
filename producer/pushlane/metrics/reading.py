"""Reads what there is to tell of all channels. Its cost grows with their number, and with nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pushlane.clients import connect
from pushlane.connections import UNANSWERED
from pushlane.errors import QueueUnavailable
from pushlane.keys import CHANNELS, CONSUMERS, DECISIONS_PREFIX, POSTPONED, UNFED, WORKERS, channel_prefix
from pushlane.operators.decisions import read_decision_counts
from pushlane.operators.inspection import AT_ONCE, TIMEOUT_S, read_channels, read_workers
from pushlane.operators.overview import read_overview
from pushlane.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pushlane.operators.decisions import DecisionCount
    from pushlane.operators.overview import Overview

_OVERVIEW: Final = Script("overview")


@dataclass(frozen=True, slots=True)
class Fleet:
    """All channels at about one moment.

    What did not answer is missing: it is no element of ``channels``, or None. A channel that a newer release has
    registered is missing, too, but does not make it less ``complete``.
    """

    complete: bool = False
    channels: Sequence[Overview] = ()
    registered: int | None = None
    workers: Mapping[str, int] | None = None
    decisions: Sequence[DecisionCount] = ()
    unfed: int | None = None
    lanes: int | None = None


class Reader:
    """Reads with a client of its own, which blocks; for one thread at a time. Raises ValueError for a wrong address."""

    def __init__(self, redis_url: str) -> None:
        # Any, because redis-py's types mix the replies of its blocking and its asyncio client.
        self._redis: Any = connect(redis_url, timeout=TIMEOUT_S)
        self._names: list[str] = []

    def close(self) -> None:
        """Closes its connections."""
        self._redis.close()

    def read(self) -> Fleet:
        """All that answers. A Redis that is away costs two seconds, and a node of a cluster a few."""
        try:
            names, workers, consumed, verdicts, unfed, lanes = self._read_common()
        except UNANSWERED:
            return Fleet()
        registered = None if names is None else read_channels(names)
        self._names = self._names if registered is None else registered
        replied, silent, channels = 0, False, []
        for name, reply in zip(self._names, self._read_channels(), strict=False):
            replied, silent = replied + 1, silent or reply is None
            if (overview := _overview(name, reply)) is not None:
                channels.append(overview)
        return Fleet(
            complete=replied == len(self._names)
            and not silent
            and None not in (names, workers, consumed, verdicts, unfed, lanes),
            channels=channels,
            registered=None if registered is None else len(registered),
            workers=None if None in (workers, consumed) else read_workers(workers, map(bytes.decode, consumed)),
            decisions=read_decision_counts(verdicts or {}),
            unfed=None if lanes is None or unfed is None else self._count_unfed(unfed, lanes),
            lanes=None if lanes is None else len(lanes),
        )

    def _read_common(self) -> Iterator[Any]:
        """What belongs to no channel; None for what did not answer."""
        with self._redis.pipeline(transaction=False) as batch:
            batch.smembers(CHANNELS).zrange(WORKERS, 0, -1).zrange(CONSUMERS, 0, -1)
            batch.hgetall(f"{DECISIONS_PREFIX}verdicts").zcard(UNFED).zrange(POSTPONED, 0, -1)
            replies = batch.execute(raise_on_error=False)
        return (None if isinstance(reply, Exception) else reply for reply in replies)

    def _read_channels(self) -> Iterator[Any]:
        """The script's reply for each channel, in order; None for one that did not answer. Ends when Redis is away.

        Redis works on the next channels while the caller reads these, which saves a sixth of the time.
        """
        pieces = [self._names[first : first + AT_ONCE] for first in range(0, len(self._names), AT_ONCE)]
        with ThreadPoolExecutor(1, thread_name_prefix="metrics-ahead") as ahead:
            try:
                for replies in ahead.map(self._read_piece, pieces):
                    yield from replies
            except UNANSWERED:  # the pieces behind are not asked for any more
                return

    def _read_piece(self, names: Sequence[str]) -> list[Any]:
        replies = _OVERVIEW.call_all(self._redis, list(map(channel_prefix, names)), "")
        return [None if isinstance(reply, Exception) else reply for reply in replies]

    def _count_unfed(self, unfed: int, lanes: Sequence[bytes]) -> int | None:
        """Decisions that are not carried out yet, counted once per lane in which they wait."""
        with self._redis.pipeline(transaction=False) as batch:
            for lane in lanes:
                batch.zcard(f"{DECISIONS_PREFIX}lane:{lane.decode()}")
            try:
                return unfed + sum(map(int, batch.execute()))
            except UNANSWERED:
                return None


def _overview(channel: str, reply: Any) -> Overview | None:  # noqa: ANN401 # as the script returns it
    """None if it did not answer, is not registered any more, by a newer release, or in a damaged record."""
    try:
        return None if reply is None else read_overview(channel, reply, ())
    except QueueUnavailable:
        return None
