"""Reads dead letters a page at a time, without their content, which can be 64 KiB each.

There may be millions of them. ``pages`` walks all of them with ZSCAN and keeps one page in memory. While nothing else
changes, it neither repeats nor misses a dead letter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pushlane.keys import channel_prefix
from pushlane.message import check_channel_name
from pushlane.message_record import (
    conversation_of,
    from_ms,
    is_unreadable,
    read_content,
    read_header,
    state_of,
    text_of,
)
from pushlane.operators.messages import Payload, read_messages

PAGE = 200
"""Dead letters per round trip."""
MAX_LOOKED_AT: Final = 10 * PAGE
"""How many ``DeadLetters.page`` looks at for those of one reason."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be tried again, without its content. ``sequence`` is its acceptance number."""

    message_id: str
    conversation: str
    reason: str | None
    detail: str
    attempts: int
    maybe_delivered: bool
    sequence: int
    accepted_at: datetime | None
    final_at: datetime | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters to take: those with these ids, or all of this conversation and this reason (None: any)."""

    ids: tuple[str, ...] = ()
    conversation: str | None = None
    reason: str | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is selected; ids are not compared."""
        return self.conversation in {None, letter.conversation} and self.reason in {None, letter.reason}


@dataclass(frozen=True, slots=True)
class Page:
    """How many were looked at, and the selected ones."""

    looked_at: int
    letters: Sequence[DeadLetter]


class DeadLetters:
    """The dead letters of one channel, read with the caller's client.

    Raises:
        InvalidMessage: The name cannot be a channel's.
    """

    def __init__(self, client: Any, channel: str) -> None:  # noqa: ANN401 - see Inspector
        self._redis = client
        self._prefix = channel_prefix(check_channel_name(channel))

    def latest(self, limit: int) -> Iterator[DeadLetter]:
        """At most ``limit``, latest first."""
        for start in range(0, limit, PAGE):
            stop = min(start + PAGE, limit)
            ids = _texts(self._redis.zrevrange(f"{self._prefix}dead", start, stop - 1))
            yield from self.read(ids)
            if len(ids) < stop - start:
                return

    def page(self, start: int, limit: int, reason: str | None) -> Page:
        """At most ``limit`` of this reason (None: any), latest first, from place ``start`` on (0 is the latest).

        It looks at ``MAX_LOOKED_AT`` at most, so it may find none although there are some further on.
        """
        size = PAGE if reason else limit
        found: list[DeadLetter] = []
        looked_at = 0
        while looked_at < MAX_LOOKED_AT:
            first = start + looked_at
            ids = _texts(self._redis.zrevrange(f"{self._prefix}dead", first, first + size - 1))
            places = {message_id: place for place, message_id in enumerate(ids, looked_at + 1)}
            found += [letter for letter in self.read(ids) if reason in {None, letter.reason}]
            if len(found) >= limit:
                return Page(places[found[limit - 1].message_id], found[:limit])
            looked_at += len(ids)
            if len(ids) < size:
                break
        return Page(looked_at, found)

    def payload(self, message_id: str) -> tuple[DeadLetter, Payload] | None:
        """A dead letter with its content; None when there is no such dead letter, or no longer."""
        with self._redis.pipeline(transaction=False) as batch:  # before 7.2 a full Redis refuses every transaction
            batch.hget(f"{self._prefix}channel", "kind").zscore(f"{self._prefix}dead", message_id)
            kind, score = batch.execute()
        ((record, details),) = read_messages(self._redis, self._prefix, [message_id], whole=True)
        if kind is None or score is None or state_of(record) != "dead":
            return None
        return _letter(message_id, record, details), Payload(kind.decode(), *read_content(record))

    def absent(self, ids: Sequence[str]) -> list[str]:
        """The ids that belong to no dead letter."""
        return [one for page in self._named(ids) for one, score in page if score is None]

    def count(self, selection: Selection) -> int:
        """How many ``pages`` looks at."""
        return len(selection.ids) or int(self._redis.zcard(f"{self._prefix}dead"))

    def newest(self) -> float:
        """When the latest of them died, in ms."""
        found = self._redis.zrevrange(f"{self._prefix}dead", 0, 0, withscores=True)
        return float(found[0][1]) if found else 0.0

    def pages(self, selection: Selection, newest: float) -> Iterator[Page]:
        """The selected dead letters except those that died after ``newest``, in no order."""
        if selection.ids:
            yield from (self._selected(pairs, selection, newest) for pairs in self._named(selection.ids))
            return
        cursor, page = self.scan(0, selection, newest)
        yield page
        while cursor:
            cursor, page = self.scan(cursor, selection, newest)
            yield page

    def scan(self, cursor: int, selection: Selection, newest: float) -> tuple[int, Page]:
        """One of these pages, by the cursor of the one before (0: none), and its own cursor, 0 for the last."""
        following, pairs = self._redis.zscan(f"{self._prefix}dead", cursor, count=PAGE)
        named = [(message_id.decode(), score) for message_id, score in pairs]
        return int(following), self._selected(named, selection, newest)

    def _selected(self, pairs: Sequence[tuple[str, float | None]], selection: Selection, newest: float) -> Page:
        ids = [message_id for message_id, score in pairs if score is not None and score <= newest]
        return Page(len(pairs), [one for one in self.read(ids) if one.reason and selection.takes(one)])

    def read(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        """At most a page of dead letters, without those that are gone meanwhile."""
        found = read_messages(self._redis, self._prefix, ids)
        for message_id, (record, details) in zip(ids, found, strict=True):
            if state_of(record) == "dead":
                yield _letter(message_id, record, details)
            elif is_unreadable(record):
                yield _unreadable(message_id)

    def _named(self, ids: Sequence[str]) -> Iterator[list[tuple[str, float | None]]]:
        """The ids with the time they died; None if not a dead letter."""
        for start in range(0, len(ids), PAGE):
            page = list(ids[start : start + PAGE])
            yield list(zip(page, self._redis.zmscore(f"{self._prefix}dead", page), strict=True))


def _texts(ids: Iterable[bytes]) -> list[str]:
    return [one.decode() for one in ids]


def _unreadable(message_id: str) -> DeadLetter:
    return DeadLetter(
        message_id=message_id,
        conversation="",
        reason=None,
        detail="its record is in a layout that this version does not know",
        attempts=0,
        maybe_delivered=False,
        sequence=0,
        accepted_at=None,
        final_at=None,
    )


def _letter(message_id: str, record: bytes, details: bytes) -> DeadLetter:
    header = read_header(record, details)
    return DeadLetter(
        message_id=message_id,
        conversation=conversation_of(record),
        reason=header.reason,
        detail=text_of(details),
        attempts=header.attempts,
        maybe_delivered=header.maybe_delivered,
        sequence=header.sequence,
        accepted_at=from_ms(header.accepted_ms),
        final_at=from_ms(header.final_ms),
    )
