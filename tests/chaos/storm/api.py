"""The chat API of a storm, as a program of its own: the stand-in, whose record is a file that outlives everybody.

::

    came      a push, with its room and texts, before anything is judged
    struck    a push that a fault of the API's strikes: what its client hears is no clear answer
    effect    the messages of a push that the API now has, in their order
    answered  a push; status 0 for one whose connection was cut
"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chaos.storm.lines import Lines
from chaos.storm.pulse import watch

from pushlane_worker.fake_api.control import Control
from pushlane_worker.fake_api.record import Record
from pushlane_worker.fake_api.rules import ReceivedPush
from pushlane_worker.fake_api.server import FakeApi

POISON = "POISON"
LATENCY_S = 0.1


class FiledRecord(Record):
    """The stand-in's record, each entry of which is a line first."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines
        self._offset_s = time.time() - time.monotonic()

    def arrive(self, at_s: float, push: ReceivedPush | None) -> int:
        """See ``Record``."""
        ticket = super().arrive(at_s, push)
        room, texts = (None, ()) if push is None else (push.room, push.texts)
        self._lines.write("came", push=ticket, came=at_s + self._offset_s, room=room, texts=texts)
        return ticket

    def strike(self, fault: str, room: str, texts: Sequence[str], *, accepted: bool) -> None:
        """See ``Record``."""
        super().strike(fault, room, texts, accepted=accepted)
        self._lines.write("struck", fault=fault, room=room, texts=texts)

    def accept(self, push: ReceivedPush, texts: Sequence[str], at_s: float) -> None:
        """See ``Record``."""
        self._lines.write("effect", room=push.room, texts=texts)
        super().accept(push, texts, at_s)

    def depart(self, ticket: int, at_s: float, status: int) -> None:
        """See ``Record``."""
        super().depart(ticket, at_s, status)
        took_s = self._push_took_s[ticket]
        self._lines.write("answered", push=ticket, took_s=took_s, status=status)


async def _serve(record: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    api = FakeApi(Control(latency_s=LATENCY_S, reject_text=POISON))
    lines = Lines(record)
    api.record = FiledRecord(lines)
    async with api, asyncio.TaskGroup() as group:
        pulse = group.create_task(watch(lines))
        sys.stdout.write(f"{api.url}\n")
        sys.stdout.flush()
        await stop.wait()
        pulse.cancel()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
