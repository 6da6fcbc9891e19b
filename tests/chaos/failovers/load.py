"""Producers that send at a steady pace, each message until it is accepted, and what they were told."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final, Self

from chaos.storm.evidence import Asked

from pushlane import Producer, QueueUnavailable, RoomMessage
from pushlane.errors import PushlaneError

CHANNEL: Final = "support"
THREADS: Final = 4
ROOMS: Final = 100
"""Of each thread, so that the messages of a room have one order. Few of them are being pushed at any time."""
AGAIN_S: Final = 0.02


@dataclass(slots=True)
class Load:
    """Sends from several threads, as a context manager; at its end every message is accepted."""

    url: str
    per_second: float
    accepted: dict[str, Asked] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    """When each of them was, by id."""
    refusals: list[str] = field(default_factory=list)
    """Answers that no failover excuses."""
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads += [threading.Thread(target=self._run, args=(number,)) for number in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, thread: int) -> None:
        pause_s, number, due = THREADS / self.per_second, 0, time.monotonic()
        with Producer(self.url) as producer:
            while not self._stopped.wait(max(due - time.monotonic(), 0)):
                self._send(producer, f"r{thread}-{number % ROOMS}", number // ROOMS + 1)
                number += 1
                due = max(due + pause_s, time.monotonic())  # what an outage has delayed is not made up for

    def _send(self, producer: Producer, room: str, number: int) -> None:
        text, asked_at = f"{room} #{number}", time.time()
        while True:
            try:
                receipt = producer.send(CHANNEL, RoomMessage(room, text), idempotency_key=text)
            except QueueUnavailable:
                time.sleep(AGAIN_S)
            except PushlaneError as error:
                self.refusals.append(f"{text}: {type(error).__name__}: {error}")
                return
            else:
                break
        told = [(receipt.sequence, receipt.duplicate)]
        self.acknowledged[receipt.message_id] = time.time()
        self.accepted[receipt.message_id] = Asked(
            receipt.message_id, CHANNEL, room, text, "load", asked_at, receipts=told
        )
