"""What one producer does, one call after the other: a mix of everything that a service can ask for.

Each message has a text of its own, ``<flow>.<call>.<index>``, by which it is known at the API. What was asked for is
written down before the call, what was answered after it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chaos.storm.api import POISON
from chaos.storm.caller import text_of

from pushlane import RoomMessage, ThirdPartyMessage

if TYPE_CHECKING:
    import random
    from typing import Any

    from chaos.storm.caller import Caller, Message

ROOMS: Final = 30
USERS: Final = 24
_WEIGHTS: Final = {
    "send": 24,
    "send_keyed": 20,
    "send_many": 16,
    "again": 5,
    "conflict": 1,
    "schedule": 8,
    "expire": 5,
    "hold": 9,
    "decide": 8,
    "decide_ahead": 3,
    "cancel": 8,
    "poison": 1,
}
_VERDICTS: Final = ("allow", "allow", "rewrite", "rewrite", "forbid", "discard")


@dataclass(slots=True)
class Flow:
    """One sequence of calls."""

    caller: Caller
    chance: random.Random
    sent: list[tuple[str, str]] = field(default_factory=list)
    keyed: list[tuple[str, str, Message]] = field(default_factory=list)
    undecided: list[tuple[str, str, str, str]] = field(default_factory=list)

    async def run(self, seconds: float, per_second: float) -> None:
        """Calls until the time is over, as many messages a second as asked if the queue lets it."""
        started, count = time.monotonic(), 0
        while (now := time.monotonic() - started) < seconds:
            if count > now * per_second:
                await asyncio.sleep(count / per_second - now)
            (what,) = self.chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            self.caller.number += 1
            count += await getattr(self, f"_{what}")() or 0

    # --- messages

    async def _send(self) -> int:
        channel, message = self._message()
        return await self._enqueue(channel, [message], keyed=False)

    async def _send_keyed(self) -> int:
        channel, message = self._message()
        before = len(self.sent)
        count = await self._enqueue(channel, [message])
        if len(self.sent) > before:
            self.keyed.append((channel, self.caller.key, message))
        return count

    async def _send_many(self) -> int:
        channel, first = self._message()
        size = self.chance.randint(2, 15)
        others = [self._message(channel, index)[1] for index in range(1, size)]
        return await self._enqueue(channel, [first, *others], many=True)

    async def _poison(self) -> int:
        channel, message = self._message(mark=f" {POISON}")
        return await self._enqueue(channel, [message])

    async def _schedule(self) -> int:
        channel, message = self._message()
        due = time.time() + self.chance.uniform(0.05, 6)
        expires_in = self.chance.choice([None, None, None, 8.0])
        return await self._enqueue(channel, [message], due=due, expires_in=expires_in)

    async def _expire(self) -> int:
        channel, message = self._message()
        return await self._enqueue(channel, [message], expires_in=round(self.chance.uniform(0.05, 4), 3))

    async def _hold(self, *, ahead: bool = False) -> int:
        channel, message = self._message()
        key = f"h-{self.caller.name}-{self.caller.number}"
        if ahead:
            await self._decide_on(channel, key, message.conversation, text_of(message))
        else:
            self.undecided.append((channel, key, message.conversation, text_of(message)))
        on_timeout = self.chance.choice(["dead_letter", "release"])
        hold = {"key": key, "timeout": round(self.chance.uniform(0.5, 6), 3), "on_timeout": on_timeout}
        return await self._enqueue(channel, [message], hold=hold)

    async def _decide_ahead(self) -> int:
        return await self._hold(ahead=True)

    async def _again(self) -> None:
        """A message that was accepted, once more under its key."""
        if self.keyed:
            channel, key, message = self.chance.choice(self.keyed)
            self.caller.tell("again", channel=channel, key=key)
            await self.caller.insist("send", channel, message, idempotency_key=key)

    async def _conflict(self) -> None:
        """Another message under a key that is in use."""
        if self.keyed:
            channel, key, _ = self.chance.choice(self.keyed)
            _, message = self._message(channel)
            self.caller.tell("conflict", channel=channel, key=key, text=text_of(message))
            await self.caller.insist("send", channel, message, idempotency_key=key)

    # --- what becomes of them

    async def _decide(self) -> None:
        if self.undecided:
            which = self.chance.randrange(len(self.undecided))
            await self._decide_on(*self.undecided.pop(which))

    async def _decide_on(self, channel: str, key: str, conversation: str, text: str) -> None:
        verdict = self.chance.choice(_VERDICTS)
        options: dict[str, Any] = {}
        if verdict == "rewrite":
            options["message"] = _make(channel, conversation, f"{text} rewritten")
        self.caller.tell("decide", channel=channel, key=key, verdict=verdict)
        await self.caller.insist("decide", channel, key, verdict, **options)

    async def _cancel(self) -> None:
        if self.sent:
            channel, message_id = self.chance.choice(self.sent[-200:])
            self.caller.tell("cancel", channel=channel, id=message_id)
            await self.caller.insist("cancel", channel, message_id)

    # --- how

    def _message(self, channel: str | None = None, index: int = 0, mark: str = "") -> tuple[str, Message]:
        channel = channel or self.chance.choice(["support", "support", "partner"])
        if channel == "support":
            # Some rooms have far more than others, so that batches fill.
            conversation = f"r{int(ROOMS * self.chance.random() ** 2)}"
        else:
            conversation = f"u{self.chance.randrange(USERS)}"
        return channel, _make(channel, conversation, f"{self.caller.name}.{self.caller.number}.{index}{mark}")

    async def _enqueue(self, channel: str, messages: list[Message], **options: Any) -> int:  # noqa: ANN401 - see caller
        receipts = await self.caller.enqueue(channel, messages, **options)
        self.sent += [(channel, receipt.message_id) for receipt in receipts]
        return len(messages)


def _make(channel: str, conversation: str, text: str) -> Message:
    if channel == "support":
        return RoomMessage(conversation, text)
    return ThirdPartyMessage(conversation, {"text": text})
