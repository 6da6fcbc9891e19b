"""What arrived at the fake API, stored compactly enough for hundreds of thousands of messages.

Convention: a text may end with a marker, ``#`` and digits; so may the last string of a third-party object, kept as
compact JSON. Within a room the first arrivals of markers must increase, otherwise the order is broken; a repeated
marker is a duplicate, whatever the text before it. Of messages without a marker only their arrival is known: two equal
texts may be two messages. Users share the table with rooms, so a test that pushes to both kinds needs different ids.
"""

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pushlane_worker.fake_api.reports import InjectedFault, OrderBreak, PushEntry, RoomEntry, Summary
from pushlane_worker.fake_api.rules import ReceivedPush

MAX_MARKER_DIGITS = 18
LISTED_ORDER_BREAKS = 100
_IN_FLIGHT = -1.0


def marker_of(text: str) -> int | None:
    """Read the number at the end of "hello #123" or of the JSON {"text":"hello #123"}; None without one."""
    _, hash_sign, digits = text.rstrip('"]}').rpartition("#")
    if hash_sign and len(digits) <= MAX_MARKER_DIGITS and digits.isascii() and digits.isdigit():
        return int(digits)
    return None


@dataclass(slots=True)
class _Room:
    # Parallel columns: a tuple per message would take twice the memory and slow garbage collections.
    texts: list[str] = field(default_factory=list)
    senders: list[str | None] = field(default_factory=list)
    receivers: list[str | None] = field(default_factory=list)
    at_s: "array[float]" = field(default_factory=lambda: array("d"))
    seen: set[int] = field(default_factory=set)
    highest: int = -1


class Record:
    """Everything that arrived since the start or the last reset."""

    def __init__(self) -> None:
        self._wall_offset_s = time.time() - time.monotonic()
        self._rooms: defaultdict[str, _Room] = defaultdict(_Room)
        self._push_at_s = array("d")
        self._push_took_s = array("d")
        self._push_room: list[str | None] = []
        self._push_count = array("B")
        self._push_status = array("H")
        self._busy: Counter[str] = Counter()
        self._by_status: Counter[int] = Counter()
        self._injected: Counter[str] = Counter()
        self._faults: list[InjectedFault] = []
        self._order_breaks: list[OrderBreak] = []
        self._accepted = self._duplicates = self._order_break_count = self._accepted_pushes = 0
        self._in_flight = self._max_in_flight = self._overlaps = 0
        self._first_accept_s: float | None = None
        self._last_accept_s: float | None = None

    def arrive(self, at_s: float, push: ReceivedPush | None) -> int:
        """Record an arriving push, and return the ticket to give back when it is answered."""
        room = None if push is None else push.room
        self._push_at_s.append(at_s)
        self._push_took_s.append(_IN_FLIGHT)
        self._push_room.append(room)
        self._push_count.append(0 if push is None else len(push.texts))
        self._push_status.append(0)
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        if room is not None:
            self._overlaps += room in self._busy
            self._busy[room] += 1
        return len(self._push_room) - 1

    def depart(self, ticket: int, at_s: float, status: int) -> None:
        """Record the answer to a push; status 0 if it got none."""
        self._push_took_s[ticket] = at_s - self._push_at_s[ticket]
        self._push_status[ticket] = status
        self._by_status[status] += 1
        self._in_flight -= 1
        room = self._push_room[ticket]
        if room is not None:
            self._busy[room] -= 1
            if not self._busy[room]:
                del self._busy[room]

    def accept(self, push: ReceivedPush, texts: Sequence[str], at_s: float) -> None:
        """Record these texts of a push, in this order."""
        if not texts:
            return
        room = self._rooms[push.room]
        for text in texts:
            self._look_at(push.room, room, text)
        room.texts.extend(texts)
        room.senders.extend([push.sender] * len(texts))
        room.receivers.extend([push.receiver] * len(texts))
        room.at_s.extend([at_s] * len(texts))
        self._accepted += len(texts)
        self._accepted_pushes += 1
        self._last_accept_s = at_s
        if self._first_accept_s is None:
            self._first_accept_s = at_s

    def _look_at(self, room_id: str, room: _Room, text: str) -> None:
        marker = marker_of(text)
        if marker is None:
            return
        if marker in room.seen:
            self._duplicates += 1
            return
        room.seen.add(marker)
        if marker < room.highest:
            self._order_break_count += 1
            if len(self._order_breaks) < LISTED_ORDER_BREAKS:
                self._order_breaks.append(OrderBreak(room=room_id, marker=marker, after=room.highest))
        else:
            room.highest = marker

    def inject(self, fault: str) -> None:
        """Count an injected fault that hit a request as a whole."""
        self._injected[fault] += 1

    def strike(self, fault: str, room: str, texts: Sequence[str], *, accepted: bool) -> None:
        """Count and list an injected fault with the messages that it hit."""
        self.inject(fault)
        at_ms = self._wall_ms(time.monotonic())
        self._faults.append(InjectedFault(fault=fault, room=room, texts=tuple(texts), accepted=accepted, at_ms=at_ms))

    def summary(self) -> Summary:
        """Return the summary; cheap, because the numbers are counted as messages arrive."""
        return Summary(
            accepted=self._accepted,
            distinct=self._accepted - self._duplicates,
            duplicates=self._duplicates,
            order_breaks=self._order_break_count,
            first_order_breaks=tuple(self._order_breaks),
            rooms=len(self._rooms),
            pushes=len(self._push_room),
            accepted_pushes=self._accepted_pushes,
            by_status=dict(self._by_status),
            in_flight=self._in_flight,
            max_in_flight=self._max_in_flight,
            overlaps=self._overlaps,
            first_accept_ms=self._maybe_wall_ms(self._first_accept_s),
            last_accept_ms=self._maybe_wall_ms(self._last_accept_s),
            injected=dict(self._injected),
        )

    def rooms(self) -> dict[str, int]:
        """Count the accepted messages of each room."""
        return {room_id: len(room.texts) for room_id, room in self._rooms.items()}

    def texts(self, room_id: str) -> list[str]:
        """Return the texts that a room accepted, in order of arrival."""
        return list(self._rooms.get(room_id, _Room()).texts)

    def room(self, room_id: str) -> list[RoomEntry]:
        """Return the messages that a room accepted, in order of arrival."""
        room = self._rooms.get(room_id, _Room())
        columns = zip(room.texts, room.senders, room.receivers, room.at_s, strict=True)
        return [
            RoomEntry(text=text, sender=sender, receiver=receiver, at_ms=self._wall_ms(at_s))
            for text, sender, receiver, at_s in columns
        ]

    def pushes(self) -> Iterator[PushEntry]:
        """Yield every push in order of arrival."""
        columns = (self._push_at_s, self._push_took_s, self._push_room, self._push_count, self._push_status)
        for at_s, took_s, room, count, status in zip(*columns, strict=True):
            yield PushEntry(
                at_ms=self._wall_ms(at_s),
                at_s=at_s,
                took_s=None if took_s == _IN_FLIGHT else took_s,
                room=room,
                count=count,
                status=status,
            )

    def injected(self) -> list[InjectedFault]:
        """Return the listed faults, in the order in which they occurred."""
        return list(self._faults)

    def _wall_ms(self, at_s: float) -> int:
        return round((at_s + self._wall_offset_s) * 1000)

    def _maybe_wall_ms(self, at_s: float | None) -> int | None:
        return None if at_s is None else self._wall_ms(at_s)
