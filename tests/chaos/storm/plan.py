"""Which fault strikes when: drawn from the seed alone, so that a seed repeats its storm."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKERS: Final = ("worker0", "worker1", "worker2")
CHANNELS: Final = ("support", "partner")
REDIS_LINKS: Final = (*(f"{worker}-redis" for worker in WORKERS), "producers-redis")
API_LINKS: Final = tuple(f"{worker}-api" for worker in WORKERS)
LINKS: Final = (*REDIS_LINKS, *API_LINKS)
FIRST_S: Final = 1.0
EACH_S: Final = {"kills": 3.0}
USUAL_S: Final = 1.2
"""The mean time between two faults; a worker takes some seconds to start, and one that has not is no good to kill."""

API: Final = ("api",)
REDIS: Final = ("redis",)
BROKER: Final = ("broker",)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: the mix it belongs to, how often it is drawn, what it strikes and for how long."""

    name: str
    mix: str
    weight: int
    targets: Sequence[str]
    lasts_s: tuple[float, float] = (0.0, 0.0)
    variants: Sequence[str] = ("",)


KINDS: Final = (
    Kind("kill_worker", "kills", 6, WORKERS),
    Kind("kill_child", "kills", 6, WORKERS, variants=("0", "1")),
    Kind("stop_worker", "kills", 6, WORKERS, (7.0, 11.0)),
    Kind("terminate_worker", "kills", 4, WORKERS),
    Kind("cut", "network", 6, LINKS, (0.0, 3.0)),
    Kind("stall", "network", 6, LINKS, (0.5, 5.0)),
    Kind("delay", "network", 4, LINKS, (1.0, 5.0), ("0.05", "0.3", "1.0")),
    Kind("truncate", "network", 6, LINKS, variants=("1", "3")),
    Kind("kill_redis", "redis", 4, REDIS, (0.0, 2.0)),
    Kind("freeze_redis", "redis", 2, REDIS, (0.5, 4.0)),
    Kind("flush_scripts", "redis", 3, REDIS),
    Kind("empty_broker", "redis", 3, BROKER),
    Kind("fail", "api", 4, API, (1.0, 4.0), ("503", "500", "500-accepted", "408")),
    Kind("throttle", "api", 3, API, (0.3, 1.5), ("1", "")),
    Kind("cut_answer", "api", 4, API, (1.0, 4.0), ("accepted", "refused")),
    Kind("late_effect", "api", 4, API, (1.0, 4.0), ("accepted", "late")),
    Kind("garbage", "api", 2, API, (1.0, 3.0), ("text", "empty", "html")),
    Kind("pause_channel", "operator", 3, CHANNELS, (0.5, 4.0)),
    Kind("skip", "operator", 4, CHANNELS, variants=("1", "3")),
    Kind("replay", "operator", 4, CHANNELS, variants=("5", "50")),
)
"""A stop outlasts the lease and the deadline of a push; see ``send_options.py`` for both."""
MIXES: Final = (*dict.fromkeys(kind.mix for kind in KINDS), "all")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``lasts_s`` is 0 for one of a moment."""

    at_s: float
    kind: str
    target: str
    lasts_s: float
    variant: str


def draw(seed: int, seconds: float, mix: str) -> list[Fault]:
    """The faults of a storm, in the order of their times; all of them are over by its end."""
    chance = random.Random(f"{seed} {mix}")  # noqa: S311 - repeatable on purpose
    kinds = [kind for kind in KINDS if mix in {kind.mix, "all"}]
    weights = [kind.weight for kind in kinds]
    faults: list[Fault] = []
    at_s = FIRST_S
    while at_s < seconds:
        (kind,) = chance.choices(kinds, weights)
        target, variant = chance.choice(kind.targets), chance.choice(kind.variants)
        lasts_s = min(chance.uniform(*kind.lasts_s), seconds - at_s)
        faults.append(Fault(round(at_s, 2), kind.name, target, round(lasts_s, 2), variant))
        at_s += chance.expovariate(1 / EACH_S.get(mix, USUAL_S))
    return faults


def summary(faults: Sequence[Fault]) -> str:
    """How many of each kind, the most frequent first."""
    counted = Counter(fault.kind for fault in faults).most_common()
    return ", ".join(f"{count} {kind}" for kind, count in counted) or "none"
