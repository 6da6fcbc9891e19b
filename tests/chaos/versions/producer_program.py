"""A service on one release: sends, repeats, schedules, holds, decides and cancels, until SIGTERM tells it to end.

It uses the public names of the library alone, so it runs on whichever release is first on its path. It writes down what
it asks for before each call and what is answered after it, in the form of a storm's flow (``chaos.storm.gather``).
"""

from __future__ import annotations

import heapq
import json
import math
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chaos.storm.lines import Lines

import pushlane
from pushlane import Hold, Producer, PushlaneError, QueueUnavailable, Receipt, RoomMessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

CHANNEL: Final = "support"
ROOMS: Final = 40
LONG_S: Final = 3600.0
"""No hold and no message expires while the test lasts."""
_WEIGHTS: Final = {"send": 50, "send_many": 12, "schedule": 7, "expire": 5, "hold": 5, "cancel": 5, "poison": 1}
_VERDICTS: Final[tuple[Literal["allow", "rewrite", "forbid"], ...]] = ("allow", "allow", "rewrite", "forbid")
T = TypeVar("T")


@dataclass(slots=True)
class Service:
    """One producer, and what it still has to do later: ``later`` is a heap of (when, number of the call, what)."""

    name: str
    poison: str
    producer: Producer
    lines: Lines
    chance: random.Random
    number: int = 0
    asked: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    sent: list[str] = field(default_factory=list)
    later: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)

    def run(self, per_second: float) -> None:
        """Calls at this pace until SIGTERM; then does what is left for later, and nothing new."""
        started = time.monotonic()
        while not _is_over(started + self.asked / per_second - time.monotonic()):
            self._do_what_is_due(time.monotonic())
            (what,) = self.chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            getattr(self, f"_{what}")()
        self._do_what_is_due(math.inf)

    def _do_what_is_due(self, now: float) -> None:
        while self.later and self.later[0][0] <= now:
            heapq.heappop(self.later)[-1]()

    def _after(self, least_s: float, most_s: float, what: Callable[[], object]) -> None:
        heapq.heappush(self.later, (time.monotonic() + self.chance.uniform(least_s, most_s), self.number, what))

    # --- messages

    def _send(self) -> None:
        self._enqueue()

    def _send_many(self) -> None:
        self._enqueue(self.chance.randint(2, 12))

    def _poison(self) -> None:
        self._enqueue(mark=f" {self.poison}")

    def _schedule(self) -> None:
        due = time.time() + self.chance.uniform(0.1, 6)
        self._enqueue(due=due, not_before=datetime.fromtimestamp(due, tz=UTC))

    def _expire(self) -> None:
        self._enqueue(expires_in=LONG_S)

    def _hold(self) -> None:
        key = f"h-{self.name}-{self.number}"
        message = self._enqueue(hold=Hold(key, timeout=LONG_S))[0]
        self._after(0.5, 5, partial(self._decide, key, RoomMessage(message.room_id, f"{message.text} rewritten")))

    def _enqueue(
        self,
        count: int = 1,
        mark: str = "",
        due: float | None = None,
        hold: Hold | None = None,
        **options: Any,  # noqa: ANN401 - those of ``Producer.send``
    ) -> list[RoomMessage]:
        """Sends messages of a room; some of these calls are repeated under their key, at once or later."""
        # Some rooms have far more than others, so that batches fill.
        room = f"r{int(ROOMS * self.chance.random() ** 2)}"
        messages = [self._message(room, mark) for _ in range(count)]
        self.asked += count
        self._tell(
            "send",
            channel=CHANNEL,
            messages=[[room, message.text] for message in messages],
            ids=[None] * count,
            due=due,
            expires_in=options.get("expires_in"),
            hold=hold and {"key": hold.key, "timeout": LONG_S, "on_timeout": hold.on_timeout},
        )
        options |= {"idempotency_key": f"k-{self.name}-{self.number}"} | ({"hold": hold} if hold else {})
        call = partial(self._accept, messages, options)
        self.sent += [receipt.message_id for receipt in call()]
        if self.chance.random() < 0.15:
            self._repeat(call)
        if self.chance.random() < 0.15:
            self._after(2, 12, partial(self._repeat, call))
        return messages

    def _message(self, room: str, mark: str) -> RoomMessage:
        self.texts[room] += 1
        return RoomMessage(room, f"{self.name} {room} {self.texts[room]}{mark}")

    def _accept(self, messages: list[RoomMessage], options: dict[str, Any]) -> list[Receipt]:
        if len(messages) > 1:
            receipts = self._insist(partial(self.producer.send_many, CHANNEL, messages, **options)) or []
        else:
            receipt = self._insist(partial(self.producer.send, CHANNEL, messages[0], **options))
            receipts = [receipt] if receipt else []
        if receipts:
            told = [[one.message_id, one.sequence, one.state, one.duplicate] for one in receipts]
            self._say("receipts", receipts=told)
        return receipts

    def _repeat(self, call: Callable[[], object]) -> None:
        self._tell("again")
        call()

    # --- what becomes of them

    def _decide(self, key: str, rewritten: RoomMessage) -> None:
        verdict = self.chance.choice(_VERDICTS)
        message = rewritten if verdict == "rewrite" else None
        self._tell("decide", channel=CHANNEL, key=key, verdict=verdict)
        self._insist(partial(self.producer.decide, CHANNEL, key, verdict, message=message))

    def _cancel(self) -> None:
        if self.sent:
            message_id = self.chance.choice(self.sent[-20:])
            self._tell("cancel", id=message_id)
            answer = self._insist(partial(self.producer.cancel, CHANNEL, message_id))
            self._say("answer", answer=answer)

    # --- how

    def _insist(self, call: Callable[[], T]) -> T | None:
        """The answer, for which it asks until there is one; None if the call is refused, which no call should be."""
        while True:
            try:
                return call()
            except QueueUnavailable as error:
                self._say("unanswered", error=str(error), id=None)
            except PushlaneError as error:
                self._say("refused", error=f"{self.name}: {type(error).__name__}: {error}")
                return None

    def _tell(self, kind: str, **facts: object) -> None:
        """Writes down what is about to be called."""
        self.number += 1
        self._say(kind, **facts)

    def _say(self, kind: str, **facts: object) -> None:
        """Writes down what came of the present call."""
        self.lines.write(kind, n=self.number, **facts)


def _is_over(wait_s: float) -> bool:
    """Whether SIGTERM has come, or comes within this time."""
    return signal.sigtimedwait([signal.SIGTERM], max(wait_s, 0)) is not None


def main(config: dict[str, Any]) -> None:
    """Serves until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    lines = Lines(Path(config["folder"]) / f"flow-{config['name']}.jsonl")
    lines.write("imported", file=pushlane.__file__)
    chance = random.Random(f"{config['seed']} {config['name']}")  # noqa: S311 - repeatable on purpose
    with Producer(config["redis_url"]) as producer:
        Service(config["name"], config["poison"], producer, lines, chance).run(config["per_second"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
