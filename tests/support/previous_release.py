"""A driver of the previous release's scripts, on the channel and with the clock of a ``Queue``."""

from __future__ import annotations

import re
import zipfile
import zipimport
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.queue import LEASE_MS, Queue, Turn
from support.queue_replies import Accepted, Sweep, read_accepted

from pushlane.keys import BELL, CHANNELS
from pushlane_worker.queue.store import WORKER
from pushlane_worker.queue.turns import Claim, Settlement, read_claim

if TYPE_CHECKING:
    from types import ModuleType

    from pushlane.send_options import SendOptions

(WHEEL,) = (Path(__file__).parents[1] / "previous_release").glob("*.whl")
PRODUCER = "pushlane"
_SCRIPTS = {
    PRODUCER: ("enqueue", "register", "status", "cancel", "decide"),
    WORKER: ("turn", "sweep", "replay", "purge"),
}


def source(name: str, package: str) -> str:
    """The whole text of its script ``name``, as ``pushlane.scripts.source`` gives ours."""

    def read(file: str) -> str:
        places = (zipfile.Path(WHEEL, f"{folder}/lua/{file}.lua") for folder in (package, PRODUCER))
        return next(place for place in places if place.exists()).read_text(encoding="utf-8")

    shebang, _, body = read(name).partition("\n")
    used = re.search(r"^--- use (.+)$", body, re.MULTILINE)
    libraries = [read(f"lib_{library}") for library in used.group(1).split()] if used else []
    return f"{shebang}\n" + re.sub(r"^\s*--.*\n", "", "\n".join([*libraries, body]), flags=re.MULTILINE)


def _module(name: str) -> ModuleType:
    spec = zipimport.zipimporter(f"{WHEEL}/{PRODUCER}").find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECORDS: Any = _module("message_record")
"""How the previous release reads and writes a record."""
_SETTLEMENT = 11
"""How many arguments of its turn are one settlement: it does not say how long the push took."""


def _as_argument(options: SendOptions, _trace: str) -> str:
    """It knows no traces."""
    given = (options.due, options.expires, options.hold)
    return "|".join(given) if any(given) else ""


class OldQueue:
    """What its producers, callbacks, workers and operators do; the methods are those of ``Queue``."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._turns = 0
        self._scripts = {
            name: queue.redis.register_script(source(name, package))
            for package, names in _SCRIPTS.items()
            for name in names
        }

    def enqueue(self, conversation: str, *message_ids: str, **how: Any) -> list[Accepted]:  # noqa: ANN401 # as ``Queue``
        """Accepts these messages, which the new ``enqueue_again`` can repeat."""
        self.queue.note(conversation, *message_ids, **how)
        return self.enqueue_again(*message_ids)

    def enqueue_again(self, *message_ids: str) -> list[Accepted]:
        """The same call once more."""
        groups = self.queue.groups(message_ids, RECORDS.write_content, _as_argument)
        return read_accepted(self._call("enqueue", "cinnox", *groups))

    def turn(self, *settlements: Settlement, free: int = 64) -> Turn:
        """The next turn of its one drain."""
        arguments: list[bytes | int | str] = ["", "old", self._turns, free, 0, LEASE_MS, 0]
        for settlement in settlements:
            arguments += settlement.arguments()[:_SETTLEMENT]
        self._turns += 1
        wait_ms, settled, claims, _, why, *flags, _, _ = self._call("turn", *arguments)
        closed, soon, leaves = (flag == 1 for flag in flags)
        return Turn(wait_ms, why.decode(), tuple(settled), tuple(map(self._claim, claims)), closed, soon, leaves)

    def register(self) -> bool:
        """Writes the channel's record, as its workers do at their start; whether it was new."""
        fields = [item for pair in self.queue.own_record.items() for item in pair]
        return bool(self._scripts["register"](keys=[self.queue.prefix, BELL, CHANNELS], args=[self.queue.now, *fields]))

    def sweep(self) -> Sweep:
        """One sweep."""
        reply = self._call("sweep", "", "old sweeper")
        return Sweep(ran=reply[0] >= 0)

    def decide(self, key: str, decision: str) -> tuple[str, int, int]:
        """Decides on a key."""
        standing, met, left = self._call("decide", key, decision, 0)
        return standing.decode(), met, left

    def cancel(self, message_id: str) -> str:
        """Cancels a message."""
        return str(self._call("cancel", message_id).decode())

    def replay(self, message_id: str) -> list[int]:
        """Replays a dead letter."""
        self.queue.redis.zadd(f"{self.queue.prefix}replay:old", {message_id: 0})
        return list(self._call("replay", "old"))

    def purge(self, message_id: str) -> int:
        """Purges a dead letter."""
        return int(self._call("purge", message_id))

    def status(self, message_id: str) -> bytes:
        """The whole record, from which it tells the status."""
        return bytes(self._scripts["status"](keys=[self.queue.prefix], args=[message_id])[0])

    def _claim(self, claim: list[Any]) -> Claim:
        conversation, token, probe, *pairs = claim
        return read_claim([conversation, token, probe, b"", *pairs], self.queue.now)

    def _call(self, script: str, *arguments: bytes | int | str) -> Any:  # noqa: ANN401 # a reply of nested lists
        return self._scripts[script](keys=[self.queue.prefix, BELL], args=[self.queue.now, *arguments])
