"""What the stand-in reports, as the backdoor sends it and the client reads it.

Wall-clock times (``…_ms``) are milliseconds since the epoch, monotonic ones (``at_s``) seconds of the machine's clock.
Entries that come by the 100,000 are dataclasses: they are made and sent in half the time.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OrderBreak(_Report):
    """A marker whose first arrival came after that of a greater one."""

    room: str
    marker: int
    after: int
    """The greatest marker that the room had seen before it."""


class InjectedFault(_Report):
    """A fault that struck one push, with the messages that it struck."""

    fault: str
    """``stall``, ``cut``, ``fail``, ``garbage``, ``reject_text``, ``swallow`` or ``swap``."""
    room: str
    texts: tuple[str, ...]
    accepted: bool
    """Whether these texts were recorded when it struck. A stall without ``accept`` records them later."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class PushEntry:
    """One push, in the order of arrival, whatever its answer."""

    at_ms: int
    at_s: float
    took_s: float | None
    """From its last byte to the answer; None while it is in flight."""
    room: str | None
    """None when the request could not be read."""
    count: int
    status: int
    """0: no answer, because the connection was cut or the push is in flight."""


@dataclass(frozen=True, slots=True)
class RoomEntry:
    """One accepted message."""

    text: str
    sender: str | None
    receiver: str | None
    at_ms: int


class Summary(_Report):
    """All that happened since the start or the last reset, in numbers."""

    accepted: int
    """Messages recorded, repeated ones included."""
    distinct: int
    duplicates: int
    """Messages recorded again in the same room, by marker; those without one are never duplicates."""
    order_breaks: int
    """Messages whose first arrival came after that of a later one of their room, by marker."""
    first_order_breaks: tuple[OrderBreak, ...]
    """The first 100 of them."""
    rooms: int
    pushes: int
    """Requests to the API, whatever their answer."""
    accepted_pushes: int
    """Pushes with at least one recorded message."""
    by_status: dict[int, int]
    """Answered pushes by HTTP status; 0 are those whose connection was cut."""
    in_flight: int
    max_in_flight: int
    overlaps: int
    """Pushes that arrived while another one of their room was in flight."""
    first_accept_ms: int | None
    last_accept_ms: int | None
    injected: dict[str, int]
    """Injected faults by name, ``down`` and ``throttle`` included."""
