"""A synchronous driver of the queue's scripts: the test owns the clock, the ids and the outcomes.

The texts of the scripts are read through ``pushlane.scripts.source`` at each start, so that a test of the tests can
change them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.channels import channel_record
from support.queue_replies import Accepted, Sweep, read_accepted
from support.queue_view import QueueView

from pushlane.keys import CHANNELS, channel_prefix
from pushlane.message_record import NO_REASON, write_content
from pushlane.outcome import Outcome
from pushlane.scripts import PRODUCER, Script
from pushlane.send_options import SendOptions
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import NextStep
from pushlane_worker.queue.store import WORKER
from pushlane_worker.queue.turns import Claim, Settlement, read_claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

_Argument = bytes | int | str
EPOCH_MS = 1_700_000_000_000
LEASE_MS = 30_000
SWEEPER = "sweeper"
"""A dispatcher's own drain, which settles what a sweep listed. Its turns begin with 1: turn 0 would answer a ring."""
LOST = PushResult(Outcome.UNKNOWN, "its lease ran out")
PRODUCERS = ("enqueue", "register", "status", "cancel", "decide")
WORKERS = ("turn", "sweep", "pause", "skip", "replay", "purge")


@dataclass(frozen=True)
class Turn:
    """A turn's reply."""

    wait_ms: int
    why: str
    settled: tuple[int, ...]
    claims: tuple[Claim, ...]
    closed: bool
    soon: bool
    leaves: bool

    @property
    def batches(self) -> list[str]:
        """The ids of each claim, in one string."""
        return [ids(claim) for claim in self.claims]


def ids(claim: Claim) -> str:
    """A claim's message ids, in one string."""
    return b" ".join(claim.message_ids).decode()


def room(claim: Claim) -> str:
    """A claim's conversation."""
    return claim.conversation.decode()


def settle(
    claim: Claim,
    outcome: Outcome = Outcome.DELIVERED,
    *,
    wait_ms: int = 0,
    dead: str = "",
    reason: str = NO_REASON,
    detail: str = "said so",
    reached: bool = True,
    lost: bool = False,
    split: int = 0,
    lone: bool = False,
    took_ms: int = 0,
) -> Settlement:
    """A claim with what its push came to."""
    result = PushResult(outcome, detail, reached=reached, lone=lone)
    return Settlement(claim, result, NextStep(wait_ms, dead, reason, split), lost, took_ms)


def unsent(claim: Claim) -> Settlement:
    """A claim given back before a byte of it left."""
    return settle(claim, Outcome.UNSENT, reached=False)


class Queue(QueueView):
    """One channel, registered at once; without a rate limit unless ``fields`` names one.

    Attributes:
        now: The clock of all calls in ms; nothing but the test moves it.
        rate_clock: What the last turn or sweep said of the rate window's.
        latest: What the next ones say that it can show at most.
        own_record: What ``register`` writes.
        messages: Conversation, address and body of every id that was ever enqueued.
    """

    def __init__(self, redis: Redis, channel: str = "support", **fields: str | int) -> None:
        self.redis: Any = redis  # its own annotations are unions of every protocol's replies
        self.channel = channel
        self.now = self.rate_clock = EPOCH_MS
        self.latest: int | str = ""
        self.messages: dict[str, tuple[str, bytes, bytes]] = {}
        self._options: dict[str, tuple[SendOptions, str]] = {}
        self.prefix = channel_prefix(channel)
        self.own_record = channel_record(channel, **{"rate_limit": 0, **fields})
        self._turns: defaultdict[str, int] = defaultdict(int, {SWEEPER: 1})
        self._last: dict[str, list[_Argument]] = {}
        self.register()

    def follow_the_server(self) -> None:
        """Moves the clock to the server's, by which producers and commands go."""
        self.now = int(Script("waiting").call(self.redis, f"{self.prefix}scheduled", "", 1)[0])

    def register(self) -> bool:
        """Writes the channel's record; whether it was new."""
        is_new = self._call("register", *(item for pair in self.own_record.items() for item in pair))
        self.redis.sadd(CHANNELS, self.channel)
        return bool(is_new)

    def enqueue(self, conversation: str, *message_ids: str, **how: Any) -> list[Accepted]:  # noqa: ANN401 # see ``note``
        """Accepts these messages."""
        self.note(conversation, *message_ids, **how)
        return self.enqueue_again(*message_ids)

    def note(
        self,
        conversation: str,
        *message_ids: str,
        address: bytes = b"",
        body: bytes | None = None,
        due: str = "",
        expires: str = "",
        hold: str = "",
        trace: str = "",
    ) -> None:
        """Notes messages, each of which says its own id without a ``body``; see the script for the others."""
        for message_id in message_ids:
            own = message_id.encode() if body is None else body
            self.messages.setdefault(message_id, (conversation, address, own))
            self._options.setdefault(message_id, (SendOptions(None, due, expires, hold), trace))

    def enqueue_again(self, *message_ids: str) -> list[Accepted]:
        """The same call once more, as after a lost reply."""
        return read_accepted(self._call("enqueue", "cinnox", 0, *self.groups(message_ids, write_content)))

    def groups(
        self,
        message_ids: Sequence[str],
        write: Callable[..., bytes],
        as_argument: Callable[[SendOptions, str], str] = SendOptions.as_argument,
    ) -> list[_Argument]:
        """What the script gets of these messages; ``write`` and ``as_argument`` lay out their content and options."""
        groups: list[_Argument] = []
        for message_id in message_ids:
            conversation, address, body = self.messages[message_id]
            fingerprint = hashlib.blake2b(b"\0".join([conversation.encode(), address, body]), digest_size=12)
            content = write(fingerprint.hexdigest().encode(), conversation.encode(), address, body)
            options, trace = self._options[message_id]
            groups += (message_id, conversation, content, as_argument(options, trace))
        return groups

    def turn(
        self,
        *settlements: Settlement,
        drain: str = "d",
        free: int = 64,
        busy: int = 0,
        lease_ms: int = LEASE_MS,
        stays: bool = False,
    ) -> Turn:
        """The drain's next turn; each drain counts its own, from 0."""
        arguments: list[_Argument] = [self.latest, drain, self._turns[drain], free, busy, lease_ms, int(stays)]
        for settlement in settlements:
            arguments += settlement.arguments()
        self._turns[drain] += 1
        self._last[drain] = arguments
        return self.repeat(drain)

    def repeat(self, drain: str = "d") -> Turn:
        """The drain's last turn once more, as after a lost reply."""
        return self.send(self.sent(drain))

    def sent(self, drain: str = "d") -> Sequence[_Argument]:
        """The drain's last turn as it went over the wire."""
        return self._last[drain]

    def send(self, arguments: Sequence[_Argument]) -> Turn:
        """A turn as it went over the wire."""
        wait_ms, settled, claims, now, why, *flags, _, self.rate_clock = self._call("turn", *arguments)
        assert now == self.now
        claimed = tuple(read_claim(claim, now) for claim in claims)
        closed, soon, leaves = (flag == 1 for flag in flags)
        return Turn(wait_ms, why.decode(), tuple(settled), claimed, closed, soon, leaves)

    def sweep(self, sweeper: str = SWEEPER) -> Sweep:
        """One sweep, by this dispatcher."""
        reply = self._call("sweep", self.latest, sweeper)
        if reply[0] < 0:
            assert reply == [-1]
            return Sweep(ran=False)
        more, expired, now, died, _, self.rate_clock = reply
        assert now == self.now
        listed = tuple(read_claim(lease, now) for lease in expired)
        return Sweep(True, bool(more), listed, died[0], tuple(zip(died[1::2], died[2::2], strict=True)))  # noqa: FBT003 # the first says it ran

    def sweep_for(self, span_ms: int, each_ms: int = 1000) -> Sweep:
        """Sweeps each second until the span is over; the last one's reply."""
        swept = self.sweep()
        for _ in range(0, span_ms, each_ms):
            self.now += each_ms
            swept = self.sweep()
        return swept

    def expire(self, claims: Sequence[Claim], *, dead: str = "", wait_ms: int = 0) -> Turn:
        """Settles what a sweep listed, as a dispatcher does."""
        lost = (settle(claim, Outcome.UNKNOWN, dead=dead, wait_ms=wait_ms, reason="a", lost=True) for claim in claims)
        return self.turn(*lost, drain=SWEEPER, free=-1)

    def decide(self, key: str, decision: str) -> tuple[str, int, int]:
        """Decides on a key; the decision that stands, how many messages it met, and how many are left."""
        standing, met, left = self._call("decide", key, decision, 0)
        return standing.decode(), met, left

    def cancel(self, message_id: str) -> str:
        """Cancels a message; what the script says of it."""
        return str(self._call("cancel", message_id).decode())

    def pause(self, *, paused: bool = True) -> bool:
        """Pauses the channel or lets it go on; whether that changed anything."""
        return bool(self._call("pause", int(paused)))

    def skip(self, conversation: str) -> list[str]:
        """Sends the head of a blocked conversation to the dead letters; what the script says."""
        return [word.decode() for word in self._call("skip", conversation)]

    def replay(self, *message_ids: str, run: str = "run") -> list[int]:
        """Replays these and what the run had left, oldest first; what the script says: replayed, left, full."""
        key = f"{self.prefix}replay:{run}"
        if message_ids:
            self.redis.zadd(key, {message_id: self.header(message_id).sequence for message_id in message_ids})
            self.redis.expire(key, 3600)
        return list(self._call("replay", run))

    def purge(self, *message_ids: str) -> int:
        """Purges dead letters; how many it were."""
        return int(self._call("purge", *message_ids))

    def _call(self, script: str, *arguments: _Argument) -> Any:  # noqa: ANN401 # a reply of nested lists
        owner = WORKER if script in WORKERS else PRODUCER
        return Script(script, owner).call(self.redis, self.prefix, self.now, *arguments)
