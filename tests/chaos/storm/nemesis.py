"""Does to a stage what the plan says, at its times, and undoes it; what it did is written down."""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chaos.storm import operating
from chaos.storm.options import PUSH_DEADLINE_S
from chaos.storm.plan import LINKS
from chaos.storm.stage import broker
from redis import Redis, RedisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.storm.plan import Fault
    from chaos.storm.stage import Stage

TICK_S: Final = 0.05
LATE_S: Final = PUSH_DEADLINE_S + 1.5
"""How late an effect may come that its client has given up: its followers may have arrived by then."""
SHARE: Final = 0.3
"""Of the pushes that an API's fault strikes."""
_FAIL: Final[dict[str, dict[str, object]]] = {
    "503": {"status": 503},
    "500": {"status": 500},
    "500-accepted": {"status": 502, "accept": True},
    "408": {"status": 408},
}


@dataclass(slots=True)
class Nemesis:
    """Strikes one stage."""

    stage: Stage
    _due: list[tuple[float, int, Fault, bool]] = field(default_factory=list)
    _count: itertools.count[int] = field(default_factory=itertools.count)

    def rage(self, faults: Sequence[Fault], seconds: float) -> None:
        """The whole plan, while the supervisor does its work; ends with everything healed."""
        started = time.monotonic()
        for fault in faults:
            self._plan(fault.at_s, fault, begins=True)
        while (now := time.monotonic() - started) < seconds:
            while self._due and self._due[0][0] <= now:
                _, _, fault, begins = heapq.heappop(self._due)
                self._strike(fault, begins=begins)
                if begins and fault.lasts_s:
                    self._plan(fault.at_s + fault.lasts_s, fault, begins=False)
            self.stage.supervise()
            time.sleep(TICK_S)
        self.heal()

    def heal(self) -> None:
        """Undoes whatever is still done."""
        stage = self.stage
        stage.server.resume()
        if not stage.server.runs:
            stage.server.start()
        for name in LINKS:
            stage.links.heal(name)
        for worker in stage.workers.values():
            worker.resume()
        stage.api.control(fail=None, throttle=None, cut=None, stall=None, garbage=None)
        operating.resume_all(stage)
        stage.lines.write("healed")

    def _plan(self, at_s: float, fault: Fault, *, begins: bool) -> None:
        heapq.heappush(self._due, (at_s, next(self._count), fault, begins))

    def _strike(self, fault: Fault, *, begins: bool) -> None:
        facts = {"fault": fault.kind, "target": fault.target, "variant": fault.variant, "begins": begins}
        try:
            getattr(self, f"_{fault.kind}")(fault, begins=begins)
        except RedisError as error:
            facts["failed"] = f"{type(error).__name__}: {error}"
        self.stage.lines.write("fault", **facts)

    # --- workers

    def _kill_worker(self, fault: Fault, **_: object) -> None:
        self.stage.workers[fault.target].kill()

    def _kill_child(self, fault: Fault, **_: object) -> None:
        self.stage.workers[fault.target].kill_child(int(fault.variant))

    def _stop_worker(self, fault: Fault, *, begins: bool) -> None:
        worker = self.stage.workers[fault.target]
        (worker.freeze if begins else worker.resume)()

    def _terminate_worker(self, fault: Fault, **_: object) -> None:
        self.stage.workers[fault.target].terminate()

    # --- the network

    def _cut(self, fault: Fault, *, begins: bool) -> None:
        if begins:
            self.stage.links.cut(fault.target, refuses=fault.lasts_s > 0)
        else:
            self.stage.links.heal(fault.target)

    def _stall(self, fault: Fault, *, begins: bool) -> None:
        (self.stage.links.stall if begins else self.stage.links.heal)(fault.target)

    def _delay(self, fault: Fault, *, begins: bool) -> None:
        self.stage.links.delay(fault.target, float(fault.variant) if begins else 0.0)

    def _truncate(self, fault: Fault, **_: object) -> None:
        self.stage.links.truncate(fault.target, int(fault.variant))

    # --- Redis

    def _kill_redis(self, fault: Fault, *, begins: bool) -> None:
        server = self.stage.server
        if begins:
            server.kill()
        if not (begins and fault.lasts_s) and not server.runs:
            server.start()

    def _freeze_redis(self, _: Fault, *, begins: bool) -> None:
        (self.stage.server.freeze if begins else self.stage.server.resume)()

    def _flush_scripts(self, *_: object, **__: object) -> None:
        with Redis.from_url(self.stage.server.url, socket_timeout=2) as client:
            client.script_flush()

    def _empty_broker(self, *_: object, **__: object) -> None:
        with broker(self.stage) as client:
            client.flushdb()

    # --- the API

    def _fail(self, fault: Fault, *, begins: bool) -> None:
        self._control("fail", {**_FAIL[fault.variant], "rate": SHARE}, begins=begins)

    def _throttle(self, fault: Fault, *, begins: bool) -> None:
        self._control("throttle", fault.variant, begins=begins)

    def _cut_answer(self, fault: Fault, *, begins: bool) -> None:
        self._control("cut", {"rate": SHARE, "accept": fault.variant == "accepted"}, begins=begins)

    def _late_effect(self, fault: Fault, *, begins: bool) -> None:
        how = {"seconds": LATE_S, "rate": SHARE / 3, "accept": fault.variant == "accepted"}
        self._control("stall", how, begins=begins)

    def _garbage(self, fault: Fault, *, begins: bool) -> None:
        self._control("garbage", {"body": fault.variant, "rate": SHARE, "accept": True}, begins=begins)

    def _control(self, name: str, how: Any, *, begins: bool) -> None:  # noqa: ANN401 - a document of the control
        self.stage.api.control(**{name: how if begins else None})

    # --- operators

    def _pause_channel(self, fault: Fault, *, begins: bool) -> None:
        operating.pause(self.stage, fault.target, paused=begins)

    def _skip(self, fault: Fault, **_: object) -> None:
        operating.skip(self.stage, fault.target, int(fault.variant))

    def _replay(self, fault: Fault, **_: object) -> None:
        operating.replay(self.stage, fault.target, int(fault.variant))
