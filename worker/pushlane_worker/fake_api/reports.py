"""The fake API's reports, as the backdoor sends them and the client reads them.

Wall-clock times (``…_ms``) are milliseconds since the epoch, monotonic ones (``at_s``) seconds of the machine's clock.
Entries of which there may be 100,000 are dataclasses, which takes half the time to create and send them.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OrderBreak(_Report):
    """A marker that first arrived after a greater one."""

    room: str
    marker: int
    after: int
    """The greatest marker that the room had seen before it."""


class InjectedFault(_Report):
    """A fault that hit one push, with the messages that it hit."""

    fault: str
    """``stall``, ``cut``, ``fail``, ``garbage``, ``reject_text``, ``swallow`` or ``swap``."""
    room: str
    texts: tuple[str, ...]
    accepted: bool
    """Whether these texts were recorded at that time. A stall without ``accept`` records them later."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class PushEntry:
    """One push, whatever its answer."""

    at_ms: int
    at_s: float
    took_s: float | None
    """The time from its last byte to the answer; None while it is in flight."""
    room: str | None
    """None when the request could not be read."""
    count: int
    status: int
    """0 means no answer: the connection was cut or the push is in flight."""


@dataclass(frozen=True, slots=True)
class RoomEntry:
    """One accepted message."""

    text: str
    sender: str | None
    receiver: str | None
    at_ms: int


class Summary(_Report):
    """Counts of everything since the start or the last reset."""

    accepted: int
    """Messages recorded, including duplicates."""
    distinct: int
    duplicates: int
    """Messages recorded again in the same room, by marker; messages without one are never duplicates."""
    order_breaks: int
    """Messages that first arrived after a later one of their room, by marker."""
    first_order_breaks: tuple[OrderBreak, ...]
    """The first 100 of them."""
    rooms: int
    pushes: int
    """Requests to the API, whatever their answer."""
    accepted_pushes: int
    """Pushes with at least one recorded message."""
    by_status: dict[int, int]
    """Pushes by HTTP status; 0 for those whose connection was cut."""
    in_flight: int
    max_in_flight: int
    overlaps: int
    """Pushes that arrived while another one of their room was in flight."""
    first_accept_ms: int | None
    last_accept_ms: int | None
    injected: dict[str, int]
    """Injected faults by name, including ``down`` and ``throttle``."""
