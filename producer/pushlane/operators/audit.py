"""The audit: who did what, when, to what, and what came of it. Never what a message says.

It is one stream for all channels. An act has two entries: one before it, without a result, and one after it that names
the first. So nothing is done without an entry, whatever breaks in between; if the second one is missing, the act may
have been done, in part or not at all.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import redis

from pushlane.keys import AUDIT
from pushlane.message_record import from_ms
from pushlane.operators.stream import follow
from pushlane.scripts import Script

KEPT: Final = 10_000
"""About how many entries there are: those of 5,000 acts."""
MAX_CHARS: Final = 300
"""Of each field: a conversation's id may be longer."""
PAGE: Final = 500
_NOTE: Final = Script("note")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry. ``result`` is empty if the act has not reported any (yet); ``of`` is the entry before the act."""

    id: str
    at: datetime | None
    by: str
    act: str
    channel: str
    target: str
    result: str
    of: str


@dataclass(slots=True)
class Act:
    """An act in progress: whoever carries it out sets its result."""

    result: str = ""


class Audit:
    """Writes the entries of one person, with the caller's client. Raises redis.RedisError."""

    def __init__(self, client: Any, by: str) -> None:  # noqa: ANN401 # see Inspector
        self._redis = client
        self.by = by

    def note(self, act: str, channel: str = "", target: str = "", result: str = "", of: str = "") -> str:
        """Writes one entry; returns its id."""
        words = (word[:MAX_CHARS] for word in (self.by, act, channel, target, result, of))
        return str(_NOTE.call(self._redis, AUDIT, KEPT, *words).decode())

    @contextlib.contextmanager
    def act(self, act: str, channel: str, target: str = "") -> Iterator[Act]:
        """Writes an entry, lets the act happen, and writes another one with its result, or the error's name.

        If the second one cannot be written, that is not the act's failure.
        """
        begun = self.note(act, channel, target)
        doing = Act()
        try:
            yield doing
        except Exception as error:
            doing.result = f"{doing.result} {type(error).__name__}".lstrip()
            raise
        finally:
            with contextlib.suppress(redis.RedisError):
                self.note(act, channel, target, doing.result, begun)


def read_audit(client: Any, limit: int) -> Iterator[AuditEntry]:  # noqa: ANN401 # see Inspector
    """At most ``limit`` entries, latest first: one for each act."""
    finished: set[str] = set()
    end = "+"
    while limit > 0 and (page := client.xrevrange(AUDIT, max=end, count=PAGE)):
        for entry in map(_entry, page):
            finished.add(entry.of)
            if limit > 0 and entry.id not in finished:
                limit -= 1
                yield entry
        end = f"({page[-1][0].decode()}"


def follow_audit(client: Any, after: str) -> Iterator[AuditEntry]:  # noqa: ANN401 # see Inspector
    """Each entry after the one with this id, also those before acts; waits for new ones, for ever."""
    return map(_entry, follow(client, AUDIT, after))


def _entry(raw: tuple[bytes, dict[bytes, bytes]]) -> AuditEntry:
    entry_id, fields = (
        raw[0].decode(),
        {name.decode(): value.decode(errors="replace") for name, value in raw[1].items()},
    )
    words = {name: fields.get(name, "") for name in ("by", "act", "channel", "target", "result", "of")}
    return AuditEntry(entry_id, from_ms(int(entry_id.partition("-")[0])), **words)
