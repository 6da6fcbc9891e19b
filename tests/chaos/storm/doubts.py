"""Pushes of unknown outcome: none is listed but those whose answer was lost, unclear or too late."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from chaos.storm.evidence import REWRITTEN
from chaos.storm.options import PUSH_DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos.storm.evidence import Evidence

LATE_S: Final = 1.5
"""A push that came so long before it was listed had a slow answer: the machine is busy, or its worker was stopped."""
SETTLES_S: Final = 1.5
"""What a client may take from its error to its settle, which may have to wait for Redis."""
ON_A_LINK: Final = frozenset(["cut", "stall", "delay"])
KEEPS_FROM_SETTLING: Final = frozenset(["kill_redis", "freeze_redis"])


def groundless(evidence: Evidence) -> Iterator[str]:
    """Listed pushes, but for leases that ran out, whose answer nothing has kept from being clear and in time."""
    came: defaultdict[frozenset[str], list[float]] = defaultdict(list)
    for push in evidence.pushes:
        came[_names(push.texts)].append(push.came)
    struck: defaultdict[frozenset[str], list[float]] = defaultdict(list)
    for strike in evidence.strikes:
        struck[_names(strike.texts)].append(strike.at)
    troubles = list(_troubles(evidence))
    for listed in evidence.unknown:
        texts = frozenset(evidence.messages[one].text for one in listed.ids if one in evidence.messages)
        since = listed.at - PUSH_DEADLINE_S - SETTLES_S
        if (
            listed.lost
            or any(since <= at <= listed.at for at in struck[texts])
            or any(begin <= listed.at and since <= end for begin, end in troubles)
        ):
            continue
        latest = max((at for at in came[texts] if at <= listed.at), default=None)
        if latest is None or listed.at - latest < LATE_S:
            ago = "never came" if latest is None else f"came {listed.at - latest:.3f} s before"
            yield f"the push of {', '.join(sorted(texts))} was listed without a reason; it {ago}"


def _names(texts: Sequence[str]) -> frozenset[str]:
    return frozenset(text.removesuffix(REWRITTEN) for text in texts)


def _troubles(evidence: Evidence) -> Iterator[tuple[float, float]]:
    """From when to when a link to the API, or Redis, was in trouble, or the storm itself."""
    yield from evidence.standstills
    yield from ((at, at) for at, link in evidence.truncations if link.endswith("-api"))
    open_: dict[tuple[str, str], float] = {}
    for one in evidence.struck:
        if one.kind in KEEPS_FROM_SETTLING or (one.kind in ON_A_LINK and one.target.endswith("-api")):
            key = (one.kind, one.target)
            if one.begins:
                open_.setdefault(key, one.at)
                yield one.at, one.at
            elif key in open_:
                yield open_.pop(key), one.at
    yield from ((begin, float("inf")) for begin in open_.values())
