"""Services that enqueue over HTTP, and repeat a request until it is accepted."""

import threading
import time
from typing import Self

import httpx

SENDERS = 2
ROOMS = 10
"""Of each sender: only one sender numbers the messages of a room."""
BATCH = 10
EVERY_S = 0.05
AGAIN_S = 0.2


class Traffic:
    """Messages to the channel ``demo`` until it is stopped, 400 a second while the callback answers at once."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}"}
        self._ended = threading.Event()
        self._accepted = [0] * SENDERS
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        self.refused: list[str] = []
        """Answers that no service expects."""
        self.repeated = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def accepted(self) -> int:
        """Messages that the callback has accepted."""
        return sum(self._accepted)

    def stop(self) -> None:
        """Waits until what was begun is accepted."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        number = 0
        with httpx.Client(base_url=self._address, headers=self._headers, timeout=5) as client:
            while not self._ended.is_set():
                messages = [
                    {"room_id": f"room-{sender}-{(number + one) % ROOMS}", "text": f"hello #{number + one + 1}"}
                    for one in range(BATCH)
                ]
                if not self._insist(client, messages, f"{sender}-{number}"):
                    return
                number += BATCH
                self._accepted[sender] = number
                self._ended.wait(EVERY_S)

    def _insist(self, client: httpx.Client, messages: list[dict[str, str]], key: str) -> bool:
        """Whether they were accepted, after however many tries."""
        given_up_at = time.monotonic() + 120
        while time.monotonic() < given_up_at:
            try:
                answer = client.post("/v1/channels/demo/messages", json=messages, headers={"Idempotency-Key": key})
            except httpx.TransportError as error:
                problem = repr(error)
            else:
                if answer.status_code == httpx.codes.ACCEPTED:
                    return True
                problem = f"{answer.status_code} {answer.text}"
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
            self.repeated += 1
            time.sleep(AGAIN_S)
        self.refused.append(problem)
        return False
