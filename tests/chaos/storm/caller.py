"""The calls of one producer: what is asked for is written down before the call, what is answered after it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pushlane import Hold, QueueUnavailable, RoomMessage, ThirdPartyMessage
from pushlane.enqueue_protocol import message_id_of
from pushlane.errors import IdempotencyConflict, PushlaneError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from chaos.storm.lines import Lines

    from pushlane import Receipt

PAUSE_S: Final = 0.25
PATIENCE_S: Final = 60.0
"""How long a call is repeated that must be answered in the end."""
Message = RoomMessage | ThirdPartyMessage


@dataclass(slots=True)
class Caller:
    """Calls one producer, whose methods ``call`` calls by their names; ``number`` is that of the present call."""

    name: str
    call: Callable[..., Awaitable[Any]]
    lines: Lines
    chance: random.Random
    number: int = 0

    @property
    def key(self) -> str:
        """The idempotency key of the present call."""
        return f"k-{self.name}-{self.number}"

    def tell(self, kind: str, **facts: object) -> None:
        """Writes down what is about to be called, or what came of it."""
        self.lines.write(kind, n=self.number, **facts)

    async def enqueue(
        self,
        channel: str,
        messages: list[Message],
        *,
        keyed: bool = True,
        many: bool = False,
        due: float | None = None,
        expires_in: float | None = None,
        hold: dict[str, Any] | None = None,
    ) -> list[Receipt]:
        """The receipts of these messages; none when the call was not answered."""
        key = self.key if keyed else None
        keys = [f"{key}/{index}" for index in range(len(messages))] if many else [key]
        self.tell(
            "send",
            channel=channel,
            messages=[[one.conversation, text_of(one)] for one in messages],
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
        return await self.insist(what, channel, body, once=not keyed, **options) or []

    async def insist(
        self, method: str, *arguments: object, once: bool = False, **options: object
    ) -> list[Receipt] | None:
        """Calls until there is an answer, or gives up: at once, in one of ten cases, or when patience is over."""
        gives_up = once or self.chance.random() < 0.1
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await self.call(method, *arguments, **options)
            except QueueUnavailable as error:
                self.tell("unanswered", error=str(error), id=error.message_id)
                if gives_up or time.monotonic() > until:
                    return None
                await asyncio.sleep(PAUSE_S)
            except IdempotencyConflict as error:
                self.tell("conflicted", id=error.message_id)
                return None
            except PushlaneError as error:
                self.tell("refused", error=f"{type(error).__name__}: {error}")
                return None
            else:
                return self._answered(method, answer)

    def _answered(self, method: str, answer: Any) -> list[Receipt] | None:  # noqa: ANN401 - of any of the methods
        if method not in {"send", "send_many"}:
            self.tell("answer", answer=answer)
            return None
        receipts: list[Receipt] = answer if method == "send_many" else [answer]
        told = [[one.message_id, one.sequence, one.state, one.duplicate] for one in receipts]
        self.tell("receipts", receipts=told)
        return receipts


def text_of(message: Message) -> str:
    """What it says."""
    return message.text if isinstance(message, RoomMessage) else str(message.message["text"])
