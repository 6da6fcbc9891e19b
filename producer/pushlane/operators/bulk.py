"""Replays or purges all dead letters of a reason, for a program whose user does not wait for the end.

There may be millions, which takes minutes. While it goes on, the channel's hash ``bulk`` tells any process how far it
is, and whether somebody wants it to stop. If nobody writes the hash any more, its process is dead, and what is left
stays dead letters. So do those that have died since they were counted.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from redis.exceptions import OutOfMemoryError

from pushlane.keys import channel_prefix
from pushlane.message import check_channel_name
from pushlane.operators.actions import Operator
from pushlane.operators.dead_letters import Page, Selection

COUNT_S: Final = 3.0
"""How long a count goes on."""
TOLD_S: Final = 0.5
"""How often the hash is written at most."""
ALIVE_S: Final = 30
"""How long it is kept without news."""
KEPT_S: Final = 3600
"""How long it is kept at the end."""
_STOP: Final = "stop"

Act = Literal["replay", "purge"]


@dataclass(frozen=True, slots=True)
class Count:
    """How many letters have the reason, of those looked at; ``whole``: of all that died until ``newest`` (ms)."""

    newest: int
    found: int
    looked_at: int
    whole: bool


@dataclass(slots=True)
class Progress:
    """How far it is.

    Attributes:
        act: What is done.
        reason: Of which letters; empty: any.
        by: Who wants it, as the audit has it.
        total: How many dead letters there were.
        looked_at: At how many of them it has looked: at some twice, if there are fewer or more meanwhile.
        found: How many have the reason, likewise.
        done: How many of those are queued again, or purged: a purge only says so at its end.
        state: Why it has ended; ``stopped``: by somebody, or with its process.
        stopping: Whether somebody wants it to stop.
    """

    act: Act
    reason: str
    by: str
    total: int
    looked_at: int = 0
    found: int = 0
    done: int = 0
    state: Literal["going", "done", "full", "stopped", "failed"] = "going"
    stopping: bool = False


def count(operator: Operator, channel: str, reason: str | None) -> Count:
    """Looks at dead letters for ``COUNT_S``, at one page at least."""
    letters, until = operator.dead_letters(channel), time.monotonic() + COUNT_S
    newest = letters.newest()
    found = looked_at = 0
    for page in letters.pages(Selection(reason=reason), newest):
        found, looked_at = found + len(page.letters), looked_at + page.looked_at
        if time.monotonic() > until:
            return Count(int(newest), found, looked_at, whole=False)
    return Count(int(newest), found, looked_at, whole=True)


def progress(operator: Operator, channel: str) -> Progress | None:
    """That of the channel's last one; None without any in the last hour, or if its process is dead."""
    fields = {name.decode(): value.decode() for name, value in operator.redis.hgetall(_key(channel)).items()}
    if "state" not in fields:
        return None
    known: dict[str, Any] = {name: fields[name] for name in ("act", "reason", "by", "state")}
    known |= {name: int(fields[name]) for name in ("total", "looked_at", "found", "done")}
    return Progress(**known, stopping=_STOP in fields)


def going(operator: Operator, channel: str) -> Progress | None:
    """That of the one that is going on in the channel; None if none is."""
    known = progress(operator, channel)
    return known if known is not None and known.state == "going" else None


def stop(operator: Operator, channel: str) -> None:
    """Lets the one that is going on in the channel end soon: what it has done stays done."""
    if going(operator, channel) is None:
        return
    with operator.redis.pipeline(transaction=True) as batch:
        batch.hset(_key(channel), _STOP, 1).expire(_key(channel), ALIVE_S).execute()


def _key(channel: str) -> str:
    return f"{channel_prefix(check_channel_name(channel))}bulk"


class Bulk:
    """One of them. Raises UnknownChannel."""

    def __init__(self, operator: Operator, channel: str, act: Act, reason: str | None, newest: int) -> None:
        operator.require(channel)
        self._operator, self._channel = operator, channel
        self._letters, self._selection, self._newest = operator.dead_letters(channel), Selection(reason=reason), newest
        self._progress = Progress(act, reason or "", operator.audit.by, self._letters.count(self._selection))
        self._told_at = -math.inf
        self._ends = False

    def carry_out(self) -> None:
        """Does it until all is done, somebody stops it, or it fails. Raises redis.RedisError, NewerChannel."""
        self._operator.redis.unlink(_key(self._channel))
        self._tell(ALIVE_S)
        try:
            if self._progress.act == "replay":
                self._replay()
            else:
                self._purge()
        except Exception:
            self._progress.state = "failed"
            raise
        finally:
            self._tell(KEPT_S)

    def end(self) -> None:
        """Lets it end soon, from another thread."""
        self._ends = True

    def _purge(self) -> None:
        ids = (letter.message_id for page in self._pages() for letter in page.letters)
        self._progress.done = self._operator.purge(self._channel, ids)
        self._progress.state = "stopped" if self._ends else "done"

    def _replay(self) -> None:
        with self._operator.replay(self._channel) as run:
            for page in self._pages():
                run.add({letter.message_id: letter.sequence for letter in page.letters})
            self._progress.found = run.gathered
            for _ in run.steps() if run.left and self._goes_on() else ():
                self._progress.done = run.replayed
                if not self._goes_on():
                    break
        self._progress.state = "full" if run.full else "stopped" if self._ends else "done"

    def _pages(self) -> Iterator[Page]:
        for page in self._letters.pages(self._selection, self._newest):
            self._progress.looked_at += page.looked_at
            self._progress.found += len(page.letters)
            yield page
            if not self._goes_on():
                return

    def _goes_on(self) -> bool:
        """Says now and then how far it is; whether to go on."""
        if time.monotonic() > self._told_at + TOLD_S:
            self._tell(ALIVE_S)
        return not self._ends

    def _tell(self, keep_s: int) -> None:
        self._told_at = time.monotonic()
        key, fields = _key(self._channel), {**asdict(self._progress), "stopping": ""}
        # A full Redis takes no news, and a purge is what helps then.
        with contextlib.suppress(OutOfMemoryError), self._operator.redis.pipeline(transaction=True) as batch:
            *_, wish = batch.hset(key, mapping=fields).expire(key, keep_s).hget(key, _STOP).execute()
            self._ends |= wish is not None
