"""What one producer does, one call after the other: a mix of everything that a service can ask for.

Each message has a text of its own, ``<flow>.<call>.<index>``, by which it is known at the API. What was asked for is
written down before the call, what was answered after it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from chaos.storm.api import POISON

from pushlane import Hold, QueueUnavailable, RoomMessage, ThirdPartyMessage
from pushlane.acceptance import message_id_of
from pushlane.errors import IdempotencyConflict, PushlaneError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from chaos.storm.lines import Lines

    from pushlane import Receipt

PAUSE_S: Final = 0.25
PATIENCE_S: Final = 60.0
"""How long a call is repeated that must be answered in the end."""
ROOMS: Final = 30
USERS: Final = 20
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
    """One sequence of calls; ``call`` calls a producer's method by its name."""

    name: str
    call: Callable[..., Awaitable[Any]]
    lines: Lines
    chance: random.Random
    number: int = 0
    sent: list[tuple[str, str]] = field(default_factory=list)
    keyed: list[tuple[str, str, RoomMessage | ThirdPartyMessage]] = field(default_factory=list)
    undecided: list[tuple[str, str, str, str]] = field(default_factory=list)

    async def run(self, seconds: float, per_second: float) -> None:
        """Calls until the time is over, so many messages a second if the queue lets it."""
        started, count = time.monotonic(), 0
        while (now := time.monotonic() - started) < seconds:
            if count > now * per_second:
                await asyncio.sleep(count / per_second - now)
            (what,) = self.chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            self.number += 1
            count += await getattr(self, f"_{what}")() or 0

    # --- messages

    async def _send(self) -> int:
        channel, message = self._message()
        return await self._enqueue(channel, [message], keyed=False)

    async def _send_keyed(self) -> int:
        channel, message = self._message()
        return await self._enqueue(channel, [message])

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
        key = f"h-{self.name}-{self.number}"
        if ahead:
            await self._decide_on(channel, key, message.conversation, _text_of(message))
        else:
            self.undecided.append((channel, key, message.conversation, _text_of(message)))
        on_timeout = self.chance.choice(["dead_letter", "release"])
        hold = {"key": key, "timeout": round(self.chance.uniform(0.5, 6), 3), "on_timeout": on_timeout}
        return await self._enqueue(channel, [message], hold=hold)

    async def _decide_ahead(self) -> int:
        return await self._hold(ahead=True)

    async def _again(self) -> None:
        """A message that was accepted, once more under its key."""
        if self.keyed:
            channel, key, message = self.chance.choice(self.keyed)
            self.lines.write("again", n=self.number, channel=channel, key=key)
            await self._insist("send", channel, message, idempotency_key=key)

    async def _conflict(self) -> None:
        """Another message under a key that is in use."""
        if self.keyed:
            channel, key, _ = self.chance.choice(self.keyed)
            _, message = self._message(channel)
            self.lines.write("conflict", n=self.number, channel=channel, key=key, text=_text_of(message))
            await self._insist("send", channel, message, idempotency_key=key)

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
        self.lines.write("decide", n=self.number, channel=channel, key=key, verdict=verdict)
        await self._insist("decide", channel, key, verdict, **options)

    async def _cancel(self) -> None:
        if self.sent:
            channel, message_id = self.chance.choice(self.sent[-200:])
            self.lines.write("cancel", n=self.number, channel=channel, id=message_id)
            await self._insist("cancel", channel, message_id)

    # --- how

    def _message(
        self, channel: str | None = None, index: int = 0, mark: str = ""
    ) -> tuple[str, RoomMessage | ThirdPartyMessage]:
        channel = channel or self.chance.choice(["support", "support", "partner"])
        count, letter = (ROOMS, "r") if channel == "support" else (USERS, "u")
        # Some have far more than others, so that batches fill.
        conversation = f"{letter}{int(count * self.chance.random() ** 2)}"
        return channel, _make(channel, conversation, f"{self.name}.{self.number}.{index}{mark}")

    async def _enqueue(
        self,
        channel: str,
        messages: list[RoomMessage | ThirdPartyMessage],
        *,
        keyed: bool = True,
        many: bool = False,
        due: float | None = None,
        expires_in: float | None = None,
        hold: dict[str, Any] | None = None,
    ) -> int:
        key = f"k-{self.name}-{self.number}" if keyed else None
        keys = [f"{key}/{index}" for index in range(len(messages))] if many else [key]
        self.lines.write(
            "send",
            n=self.number,
            channel=channel,
            messages=[[one.conversation, _text_of(one)] for one in messages],
            ids=[one and message_id_of(channel, one) for one in keys],
            due=due,
            expires_in=expires_in,
            hold=hold,
        )
        options: dict[str, Any] = {"idempotency_key": key, "expires_in": expires_in}
        if due is not None:
            options["not_before"] = datetime.fromtimestamp(due, tz=UTC)
        if hold is not None:
            options["hold"] = Hold(**hold)
        what, body = ("send_many", messages) if many else ("send", messages[0])
        receipts = await self._insist(what, channel, body, once=not keyed, **options)
        for receipt in receipts or ():
            self.sent.append((channel, receipt.message_id))
        if receipts and keyed and not many:
            self.keyed.append((channel, str(key), messages[0]))
        return len(messages)

    async def _insist(
        self, method: str, *arguments: object, once: bool = False, **options: object
    ) -> list[Receipt] | None:
        """Calls until there is an answer, or gives up: at once, in one of ten cases, or when patience is over."""
        gives_up = once or self.chance.random() < 0.1
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await self.call(method, *arguments, **options)
            except QueueUnavailable as error:
                self.lines.write("unanswered", n=self.number, error=str(error), id=error.message_id)
                if gives_up or time.monotonic() > until:
                    return None
                await asyncio.sleep(PAUSE_S)
            except IdempotencyConflict as error:
                self.lines.write("conflicted", n=self.number, id=error.message_id)
                return None
            except PushlaneError as error:
                self.lines.write("refused", n=self.number, error=f"{type(error).__name__}: {error}")
                return None
            else:
                return self._answered(method, answer)

    def _answered(self, method: str, answer: Any) -> list[Receipt] | None:  # noqa: ANN401 - of any of the methods
        if method not in {"send", "send_many"}:
            self.lines.write("answer", n=self.number, answer=answer)
            return None
        receipts: list[Receipt] = answer if method == "send_many" else [answer]
        told = [[one.message_id, one.sequence, one.state, one.duplicate] for one in receipts]
        self.lines.write("receipts", n=self.number, receipts=told)
        return receipts


def _make(channel: str, conversation: str, text: str) -> RoomMessage | ThirdPartyMessage:
    if channel == "support":
        return RoomMessage(conversation, text)
    return ThirdPartyMessage(conversation, {"text": text})


def _text_of(message: RoomMessage | ThirdPartyMessage) -> str:
    return message.text if isinstance(message, RoomMessage) else str(message.message["text"])
