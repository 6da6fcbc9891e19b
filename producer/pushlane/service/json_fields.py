"""Receipts, statuses and the like as fields of a JSON object, the same for the command line and for HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def as_fields(value: DataclassInstance) -> dict[str, Any]:
    """The value's fields, with times in RFC 3339."""
    return asdict(value, dict_factory=lambda pairs: {name: _plain(item) for name, item in pairs})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc_3339(value)
    return value


def rfc_3339(at: datetime) -> str:
    """The time in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
