"""The demo's load: two producers that enqueue to the same rooms at the same time."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from pushlane.errors import PushlaneError
from pushlane.message import RoomMessage
from pushlane.producer import Producer
from pushlane.receipt import Receipt

PRODUCERS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """The load: message n goes to room n // 2 mod rooms, so that both producers write to each room."""

    channel: str
    messages: int
    rooms: int

    def message(self, number: int) -> RoomMessage:
        """Message ``number``; its text is unique and ends with the marker by which the fake API detects duplicates."""
        room = f"room-{number // PRODUCERS % self.rooms + 1}"
        return RoomMessage(room, f"Hello {room}, this is producer {number % PRODUCERS + 1} #{number + 1}")

    def share(self, producer: int) -> range:
        """The numbers of one producer's messages."""
        return range(producer, self.messages, PRODUCERS)


@dataclass(slots=True)
class Load:
    """Sends the plan message by message, from two threads with a ``Producer`` each."""

    redis_url: str
    plan: Plan
    _receipts: list[dict[str, Receipt]] = field(default_factory=lambda: [{} for _ in range(PRODUCERS)])
    _threads: list[threading.Thread] = field(default_factory=list)
    _error: PushlaneError | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Starts both threads."""
        for number in range(PRODUCERS):
            thread = threading.Thread(target=self._send, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stops them early if they are not done."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def accepted(self) -> int:
        """How many messages have a receipt."""
        return sum(map(len, self._receipts))

    def done(self) -> bool:
        """Whether both are done. Raises the error of one of them, if any."""
        if self._error is not None:
            raise self._error
        return not any(thread.is_alive() for thread in self._threads)

    def receipts(self) -> Mapping[str, Receipt]:
        """The receipts by message text."""
        return {text: receipt for own in self._receipts for text, receipt in own.items()}

    def _send(self, producer: int) -> None:
        try:
            with Producer(self.redis_url) as client:
                for number in self.plan.share(producer):
                    if self._stop.is_set():
                        return
                    message = self.plan.message(number)
                    self._receipts[producer][message.text] = client.send(self.plan.channel, message)
        except PushlaneError as error:
            self._error = error
