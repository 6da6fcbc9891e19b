"""How a message is sent: its idempotency key, when it joins its conversation, when it expires, and its hold.

Times are judged by Redis's clock: the script adds relative ones to it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pushlane.errors import InvalidMessage
from pushlane.hold import Hold
from pushlane.message import check_idempotency_key

MAX_AHEAD_DAYS: Final = 3650
"""Ten years: a time further ahead is probably in the wrong unit."""

When = datetime | timedelta | float
_INTERNAL: Final = "§"
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_TOO_FAR: Final = f"must be at most {MAX_AHEAD_DAYS} days ahead"


@dataclass(frozen=True, slots=True)
class SendOptions:
    """A message's options, checked.

    Attributes:
        due: When it joins its conversation, as ``lua/enqueue.lua`` expects it: ms, ``+`` and ms from now, or empty.
        expires: Ms after its acceptance from which it may no longer be delivered, or empty.
        hold: The action of its hold's timeout, the timeout in ms and the key, as the script expects it; or empty.
    """

    idempotency_key: str | None = None
    due: str = ""
    expires: str = ""
    hold: str = ""

    @classmethod
    def check(
        cls,
        idempotency_key: str | None,
        not_before: When | None = None,
        expires_in: timedelta | float | None = None,
        hold: Hold | None = None,
    ) -> SendOptions:
        """The options of ``send``. Raises InvalidMessage, which names the argument."""
        key = None if idempotency_key is None else check_idempotency_key(idempotency_key)
        return cls(key, _due(not_before), _expires("expires_in", expires_in), _hold(hold, not_before))

    @classmethod
    def from_json(
        cls, idempotency_key: object, not_before: object, expires_in_s: object, hold: object = None
    ) -> SendOptions:
        """The options of the JSON form; each may be None. Raises InvalidMessage, which names the field."""
        key = None if idempotency_key is None else check_idempotency_key(idempotency_key)
        due = "" if not_before is None else _due(_parse_time(not_before))
        return cls(key, due, _expires("expires_in_s", expires_in_s), _hold(_parse_hold(hold), not_before))

    def as_argument(self, trace: str = "") -> str:
        """The options as ``lua/enqueue.lua`` expects them, with the message's trace context."""
        if self.due or self.expires or self.hold or trace:
            return f"{self.due}|{self.expires}|{trace}|{self.hold}"
        return ""


NO_OPTIONS: Final = SendOptions()


def internal_key(name: str) -> str:
    """An internal idempotency key. No client can send it: clients' keys are printable ASCII."""
    return f"{_INTERNAL}{name}"


def _due(not_before: object) -> str:
    if not_before is None:
        return ""
    if not isinstance(not_before, datetime):
        return f"+{_milliseconds('not_before', not_before, 'an aware datetime, a timedelta or seconds')}"
    if not_before.tzinfo is None:
        raise InvalidMessage("not_before", "has no time zone: give an aware datetime, such as datetime.now(UTC)")
    if not_before - datetime.now(UTC) > timedelta(days=MAX_AHEAD_DAYS):
        raise InvalidMessage("not_before", _TOO_FAR, limit=MAX_AHEAD_DAYS)
    return str(max(math.ceil(not_before.timestamp() * 1000), 0))


def _expires(name: str, value: object) -> str:
    if value is None:
        return ""
    milliseconds = _milliseconds(name, value, "seconds or a timedelta" if name == "expires_in" else "a number")
    if milliseconds == 0:
        raise InvalidMessage(name, "must be more than 0")
    return str(milliseconds)


def _hold(hold: object, not_before: object) -> str:
    if hold is None:
        return ""
    if not isinstance(hold, Hold):
        raise InvalidMessage("hold", f"must be a Hold, not {type(hold).__name__}")
    if not_before is not None:
        raise InvalidMessage("hold", "cannot be combined with not_before: a held message already has its place")
    return f"{hold.on_timeout[0]}{hold.timeout_ms}:{hold.key}"


def _parse_hold(value: object) -> Hold | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidMessage("hold", "must be an object with key and timeout_s")
    for name in value:
        if name not in {"key", "timeout_s", "on_timeout"}:
            raise InvalidMessage("hold", "has a field other than key, timeout_s and on_timeout")
    on_timeout = "dead_letter" if value.get("on_timeout") is None else value["on_timeout"]
    return Hold(value.get("key"), value.get("timeout_s"), on_timeout=on_timeout)  # type: ignore[arg-type] # Hold checks


def _milliseconds(name: str, value: object, kinds: str) -> int:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidMessage(name, f"must be {kinds}, not {type(value).__name__}")
    if not -math.inf < value < math.inf:
        raise InvalidMessage(name, "must be a finite number")
    if value > MAX_AHEAD_DAYS * 86400:
        raise InvalidMessage(name, _TOO_FAR, limit=MAX_AHEAD_DAYS)
    return math.ceil(max(value, 0) * 1000)  # the lowest numbers would be -inf in ms


def _parse_time(value: object) -> datetime:
    wrong = InvalidMessage("not_before", "must be an RFC 3339 time with its zone, such as 2026-11-22T14:30:00Z")
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise wrong
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise wrong from None
