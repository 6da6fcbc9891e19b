"""Decides which injected fault hits which push."""

import random

from pushlane_worker.fake_api.control import Control, Cut, Fail, Garbage, Stall
from pushlane_worker.fake_api.record import Record
from pushlane_worker.fake_api.rules import ReceivedPush

Strike = Stall | Cut | Fail | Garbage

MIN_SWAP = 2


class Faults:
    """Holds the control document, and replaces it as limited faults are used up."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self._random = random.Random(control.seed)  # noqa: S311 - repeatable on purpose

    def change(self, control: Control, *, reseed: bool) -> None:
        """Switch to another document."""
        self.control = control
        if reseed:
            self._random.seed(control.seed)

    def strike(self, room: str) -> Strike | None:
        """Draw the fault that hits a push of this room, if any: the first of stall, cut, fail, garbage that does."""
        control = self.control
        for fault in (control.stall, control.cut, control.fail, control.garbage):
            if fault is not None and fault.room in {None, room} and self._random.random() < fault.rate:
                self._use_up(fault)
                return fault
        return None

    def _use_up(self, fault: Strike) -> None:
        if fault.times is None:
            return
        left = None if fault.times == 1 else fault.model_copy(update={"times": fault.times - 1})
        self.control = self.control.model_copy(update={fault.name: left})

    def rearrange(self, push: ReceivedPush, record: Record) -> tuple[str, ...]:
        """Return the texts to record, without a swallowed one and with the first two swapped if asked for."""
        texts = push.texts
        control = self.control
        if control.swallow:
            record.strike("swallow", push.room, texts[:1], accepted=False)
            control = control.model_copy(update={"swallow": control.swallow - 1})
            texts = texts[1:]
        if control.swap and len(texts) >= MIN_SWAP:
            record.strike("swap", push.room, texts[:2], accepted=True)
            control = control.model_copy(update={"swap": control.swap - 1})
            texts = (texts[1], texts[0], *texts[2:])
        self.control = control
        return texts
