"""Reads what there is to tell of all channels. Its cost grows with their number, and with nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pushlane.clients import connect
from pushlane.connections import UNANSWERED
from pushlane.errors import QueueUnavailable
from pushlane.keys import CHANNELS, CONSUMERS, DECISIONS_PREFIX, WORKERS
from pushlane.operators.decisions import read_decision_counts, read_unfed
from pushlane.operators.inspection import TIMEOUT_S, read_channels, read_workers
from pushlane.operators.overview import Overview
from pushlane.operators.states import read_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pushlane.operators.decisions import DecisionCount, Unfed


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
    unfed: Unfed | None = None


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
            names, workers, consumed, verdicts = self._read_common()
        except UNANSWERED:
            return Fleet()
        if names is not None:  # otherwise they are those of the last time
            self._names = read_channels(names)
        unfed = self._read_unfed()
        channels, answered = self._read_channels()
        return Fleet(
            complete=answered and None not in (names, workers, consumed, verdicts, unfed),
            channels=channels,
            registered=None if names is None else len(self._names),
            workers=None if None in (workers, consumed) else read_workers(workers, map(bytes.decode, consumed)),
            decisions=read_decision_counts(verdicts or {}),
            unfed=unfed,
        )

    def _read_common(self) -> Iterator[Any]:
        """What belongs to no channel; None for what did not answer."""
        with self._redis.pipeline(transaction=False) as batch:
            batch.smembers(CHANNELS).zrange(WORKERS, 0, -1).zrange(CONSUMERS, 0, -1)
            batch.hgetall(f"{DECISIONS_PREFIX}verdicts")
            replies = batch.execute(raise_on_error=False)
        return (None if isinstance(reply, Exception) else reply for reply in replies)

    def _read_unfed(self) -> Unfed | None:
        try:
            return read_unfed(self._redis)
        except UNANSWERED:
            return None

    def _read_channels(self) -> tuple[Sequence[Overview], bool]:
        """Those that can be read, and whether all of them answered."""
        found, answered = [], True
        try:
            for _, state in read_states(self._redis, self._names, ()):
                if isinstance(state, Overview):
                    found.append(state)
                elif isinstance(state, Exception) and not isinstance(state, QueueUnavailable):
                    answered = False
        except UNANSWERED:
            return found, False
        return found, answered
