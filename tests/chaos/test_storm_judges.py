"""The judges of a storm: each finds what it is for in small evidence made by hand, and lets pass what is right."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from chaos.storm.evidence import (
    Arrival,
    Asked,
    Cancel,
    Decision,
    End,
    Evidence,
    Hold,
    Push,
    Record,
    Replay,
    Strike,
    Struck,
    Unknown,
)
from chaos.storm.judge import JUDGES, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1000.0
ASKED = Asked("a1", "support", "r1", "p0a.1.0", "p0a", START, receipts=[(1, False)])
RECORD = Record("support", "r1", "delivered", None, "", maybe_delivered=False, attempts=0, sequence=1, accepted=START,
                joined=START, final=START + 1)  # fmt: skip
ARRIVAL = Arrival("support", "r1", "p0a.1.0", START + 0.5)
DEAD = {"state": "dead", "final": START + 3}


def storm(
    asked: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
    arrivals: Sequence[Arrival] = (ARRIVAL,),
    **facts: Any,  # noqa: ANN401 - fields of Evidence
) -> Evidence:
    """One message, delivered as it should be, with these changes; its counters are right."""
    message = dataclasses.replace(ASKED, **asked or {})
    kept = dataclasses.replace(RECORD, **record or {})
    return several([(message, kept)], arrivals, **facts)


def several(
    messages: Sequence[tuple[Asked, Record]],
    arrivals: Sequence[Arrival],
    **facts: Any,  # noqa: ANN401 - see above
) -> Evidence:
    """These messages; the counters are right, and a fault of the API's explains each unknown push."""
    states = [record.state for _, record in messages]
    counters = {
        "accepted": len(states),
        "delivered": states.count("delivered"),
        "cancelled": states.count("cancelled"),
        "dead": states.count("dead"),
        "listed_dead": states.count("dead"),
        "pushes_unknown": len(facts.get("unknown", ())),
    }
    evidence: dict[str, Any] = {
        "messages": {one.id: one for one, _ in messages},
        "records": {one.id: record for one, record in messages},
        "counters": {"support": counters},
        "arrivals": arrivals,
        "strikes": [
            Strike(push.at - 0.1, [f"p0a.{one[1:]}.0" for one in push.ids]) for push in facts.get("unknown", ())
        ],
    }
    return Evidence(**{**evidence, **facts})


def room(*order: int, **facts: Any) -> Evidence:  # noqa: ANN401 - see above
    """A room of three messages that arrive in this order; ``changes`` are of the record by sequence."""
    changes = facts.pop("changes", {})
    messages = []
    for number in (1, 2, 3):
        own = {"sequence": number, "accepted": START + number, "joined": START + number, **changes.get(number, {})}
        due = own.pop("due", None)
        asked = dataclasses.replace(
            ASKED, id=f"a{number}", text=f"p0a.{number}.0", receipts=[(number, False)], asked_at=START, due=due
        )
        messages.append((asked, dataclasses.replace(RECORD, final=START + 99, **own)))
    arrivals = [Arrival("support", "r1", f"p0a.{number}.0", START + 10 + at) for at, number in enumerate(order)]
    return several(messages, arrivals, **facts)


HELD = Hold("h1", 2.0, releases=False)
RELEASED = Hold("h1", 2.0, releases=True)
REWRITE = {"h1": [Decision("rewrite", START + 0.1)]}
ALLOW = {"h1": [Decision("allow", START + 0.1)]}
DOUBT = Unknown("support", START + 0.6, ["a1"], lost=False)
REWRITTEN = dataclasses.replace(ARRIVAL, text="p0a.1.0 rewritten")
TWICE = (ARRIVAL, dataclasses.replace(ARRIVAL, at=START + 0.9))
LATE = dataclasses.replace(ARRIVAL, at=START + 2.5)
GIVEN_UP = {1: {"state": "dead", "reason": "unknown", "maybe_delivered": True}}
PUSHES = [Push("support", START + number * 0.01, START + number * 0.01) for number in range(41)]

FOUND: dict[str, tuple[str, Evidence, dict[str, Any]]] = {
    "an accepted message is gone": ("lost", storm(), {"records": {}}),
    "a message is queued still": ("lost", storm(record={"state": "queued"}), {}),
    "a delivered message never arrived": ("lost", storm(arrivals=()), {}),
    "it counted as delivered before it arrived": ("lost", storm(record={"final": START + 0.4}), {}),
    "nobody asked for what Redis has": ("lost", storm(), {"messages": {}, "arrivals": ()}),
    "nobody asked for what arrived": ("invented", storm(arrivals=(ARRIVAL, Arrival("support", "r1", "x", START))), {}),
    "it arrived in another room": ("invented", storm(asked={"conversation": "r2"}), {}),
    "it arrived before it was asked for": ("invented", storm(asked={"asked_at": START + 0.7}), {}),
    "it arrived before its time": ("invented", storm(asked={"due": START + 0.8}), {}),
    "it was rewritten and not held": ("invented", storm(arrivals=(REWRITTEN,)), {}),
    "it was rewritten without a decision": (
        "invented",
        storm({"hold": HELD}, arrivals=(REWRITTEN,), decisions=ALLOW),
        {},
    ),
    "a rewrite was forgotten": ("invented", storm({"hold": HELD}, decisions=REWRITE), {}),
    "a hold did not hold": ("invented", storm({"hold": RELEASED}), {}),
    "a hold's timeout did not kill": ("invented", storm({"hold": HELD}, arrivals=(LATE,)), {}),
    "a refused message arrived": ("invented", storm(conflicts=["p0a.1.0"]), {}),
    "two changed places": ("order", room(1, 3, 2), {}),
    "a scheduled one jumped in": ("order", room(2, 1, 3, changes={2: {"due": START + 1.5, "joined": START + 2}}), {}),
    "a replayed one kept its old place": (
        "order",
        room(1, 2, 3, changes={2: {"joined": START + 9}}, replays=[Replay(START + 8, ["a2"])]),
        {},
    ),
    "a late effect of nothing that was given up": ("order", room(2, 1, 3, changes=GIVEN_UP), {}),
    "followers did not wait for a late effect": (
        "order",
        room(
            2,
            3,
            1,
            changes=GIVEN_UP,
            on_unknown="dead_letter",
            unknown=[Unknown("support", START + 11, ["a1"], lost=False)],
        ),
        {},
    ),
    "a copy without an unknown push": ("duplicates", storm(arrivals=TWICE), {}),
    "more copies than unknown pushes": ("duplicates", storm(arrivals=(*TWICE, LATE), unknown=[DOUBT]), {}),
    "a copy under dead_letter": (
        "duplicates",
        storm(arrivals=TWICE, unknown=[DOUBT], on_unknown="dead_letter"),
        {},
    ),
    "a copy with another message's unknown push": (
        "duplicates",
        storm(arrivals=TWICE, unknown=[dataclasses.replace(DOUBT, ids=["a2"])]),
        {},
    ),
    "a push was listed whose answer nothing kept away": (
        "unknown",
        storm(unknown=[DOUBT], pushes=[Push("support", START + 0.5, START + 0.5, ["p0a.1.0"])], strikes=()),
        {},
    ),
    "a push was listed that never was": ("unknown", storm(unknown=[DOUBT], strikes=()), {}),
    "a push was listed for another one's fault": (
        "unknown",
        storm(unknown=[DOUBT], strikes=[Strike(START + 0.5, ["p0a.1.0", "p0a.1.1"])]),
        {},
    ),
    "a push was listed for a link that was healed": (
        "unknown",
        storm(
            unknown=[DOUBT],
            strikes=(),
            struck=[
                Struck(START - 9, "stall", "worker1-api", begins=True),
                Struck(START - 8, "stall", "worker1-api", begins=False),
                Struck(START, "stall", "worker1-redis", begins=True),
            ],
        ),
        {},
    ),
    "a cancelled message arrived": (
        "cancelled",
        storm(record={"state": "cancelled"}, cancels=[Cancel("a1", START + 0.2, "cancelled")]),
        {},
    ),
    "what was cancelled was delivered": ("cancelled", storm(cancels=[Cancel("a1", START + 0.2, "cancelled")]), {}),
    "what certainly did not arrive did": ("cancelled", storm(record={**DEAD, "reason": "expired"}), {}),
    "a good message was rejected": ("dead", storm(record={**DEAD, "reason": "rejected"}, arrivals=()), {}),
    "one died that nobody skipped": ("dead", storm(record={**DEAD, "reason": "exhausted"}, arrivals=()), {}),
    "one expired early": (
        "dead",
        storm({"expires_s": 5.0}, {**DEAD, "reason": "expired"}, arrivals=()),
        {},
    ),
    "one expired that had no time": ("dead", storm(record={**DEAD, "reason": "expired"}, arrivals=()), {}),
    "a released hold died of its timeout": (
        "dead",
        storm({"hold": RELEASED}, {**DEAD, "reason": "expired"}, arrivals=()),
        {},
    ),
    "nobody forbade it": ("dead", storm({"hold": HELD}, {**DEAD, "reason": "forbidden"}, (), decisions=ALLOW), {}),
    "given up under retry": (
        "dead",
        storm(record={**DEAD, "reason": "unknown", "maybe_delivered": True}, arrivals=(), unknown=[DOUBT]),
        {},
    ),
    "given up without an unknown push": (
        "dead",
        storm(record={**DEAD, "reason": "unknown", "maybe_delivered": True}, arrivals=(), on_unknown="dead_letter"),
        {},
    ),
    "41 pushes where 40 are allowed": ("rate", storm(pushes=PUSHES), {}),
    "a slow push counts until its end": (
        "rate",
        storm(
            pushes=[
                Push("support", START - 1, START),
                *(dataclasses.replace(one, came=START + 1.9) for one in PUSHES[1:]),
            ]
        ),
        {},
    ),
    "two numbers for one message": ("receipts", storm({"receipts": [(1, False), (2, True)]}), {}),
    "a repeat was accepted anew": ("receipts", storm({"repeats": [(1, False)]}), {}),
    "numbers against the order of calls": (
        "receipts",
        storm(),
        {
            "messages": {
                "a1": dataclasses.replace(ASKED, receipts=[(2, False)]),
                "a2": dataclasses.replace(ASKED, id="a2", text="p0a.2.0", asked_at=START + 1, receipts=[(1, False)]),
            }
        },
    ),
    "a producer was refused": ("receipts", storm(refusals=["QueueFull: it is full"]), {}),
    "the depth is not zero": (
        "counters",
        storm(),
        {"counters": {"support": {"depth": 1, "accepted": 1, "delivered": 1}}},
    ),
    "a delivery was not counted": ("counters", storm(), {"counters": {"support": {"accepted": 1}}}),
    "an unknown push was not listed": (
        "counters",
        storm(),
        {"counters": {"support": {"accepted": 1, "delivered": 1, "pushes_unknown": 1}}},
    ),
    "the queue did not become empty": ("counters", storm(finished=False), {}),
    "a lease ran out in a calm": (
        "leases",
        storm(unknown=[dataclasses.replace(DOUBT, lost=True)], struck=[Struck(START, "throttle", "api", begins=True)]),
        {},
    ),
    "a key is left": ("residue", storm(leftovers=["pushlane:1:{support}:leases"]), {}),
    "a worker died by itself": ("processes", storm(ends=[End("worker1", 1, "")]), {}),
    "a worker did not end well": ("processes", storm(ends=[End("worker1", 1, "terminate")]), {}),
    "a worker did not end": ("processes", storm(overdue=["worker1: overdue"]), {}),
    "a traceback": ("logs", storm(tracebacks=["worker1.0.log: KeyError: 'x'"]), {}),
}

RIGHT = {
    "one message": storm(),
    "a call that was never answered": storm(asked={"receipts": ()}, arrivals=(), records={}, counters={}),
    "a call that was never answered and was done": storm(asked={"receipts": ()}),
    "a copy of an unknown push": storm(arrivals=TWICE, unknown=[DOUBT]),
    "a copy that an operator put back": storm(
        record={"joined": START + 0.8},
        arrivals=TWICE,
        unknown=[DOUBT],
        on_unknown="dead_letter",
        replays=[Replay(START + 0.7, ["a1"])],
    ),
    "an unknown push behind a stalled link": storm(
        unknown=[DOUBT], strikes=(), struck=[Struck(START, "stall", "worker1-api", begins=True)]
    ),
    "an unknown push whose answer was cut": storm(
        unknown=[DOUBT], strikes=(), truncations=[(START + 0.5, "worker1-api")]
    ),
    "an unknown push on a busy machine": storm(
        unknown=[DOUBT], strikes=(), pushes=[Push("support", START - 2, START - 2, ["p0a.1.0"])]
    ),
    "an unknown push while the API stood still": storm(
        unknown=[DOUBT], strikes=(), standstills=[(START - 2, START + 0.5)]
    ),
    "a rewrite": storm({"hold": HELD}, arrivals=(REWRITTEN,), decisions=REWRITE),
    "a released hold": storm({"hold": RELEASED}, {"final": START + 3}, arrivals=(LATE,)),
    "a hold that timed out": storm({"hold": HELD}, {**DEAD, "reason": "expired"}, arrivals=()),
    "a forbidden one": storm(
        {"hold": HELD}, {**DEAD, "reason": "forbidden"}, (), decisions={"h1": [Decision("discard", START)]}
    ),
    "poison": storm({"text": "p0a.1.0 POISON"}, {**DEAD, "reason": "rejected"}, ()),
    "a skipped one": storm(
        record={**DEAD, "reason": "exhausted", "detail": "skipped by an operator; it was blocked by: 503"},
        arrivals=(),
        skipped=[("support", "r1")],
    ),
    "one that was given up": storm(
        record={**DEAD, "reason": "unknown", "maybe_delivered": True}, unknown=[DOUBT], on_unknown="dead_letter"
    ),
    "a cancelled one that had perhaps arrived": storm(
        record={"state": "cancelled", "maybe_delivered": True},
        unknown=[DOUBT],
        cancels=[Cancel("a1", START + 0.7, "maybe_delivered")],
    ),
    "the order": room(1, 2, 3),
    "a scheduled one that joins last": room(1, 3, 2, changes={2: {"due": START + 3.5, "joined": START + 4}}),
    "a replayed one at the tail": room(
        1, 3, 2, changes={2: {"joined": START + 9}}, replays=[Replay(START + 8, ["a2"])]
    ),
    "a late effect of a push that was given up": room(
        2, 3, 1, changes=GIVEN_UP, on_unknown="dead_letter", unknown=[Unknown("support", START + 9, ["a1"], lost=False)]
    ),
    "40 pushes": storm(pushes=PUSHES[:40]),
    "40 pushes in each window": storm(
        pushes=[*PUSHES[:40], *(Push("support", one.came + 2.01, one.ended + 2.01) for one in PUSHES[:40])]
    ),
    "a lost lease of a killed worker": storm(
        arrivals=TWICE,
        unknown=[dataclasses.replace(DOUBT, lost=True)],
        struck=[Struck(START, "kill_worker", "worker1", begins=True)],
    ),
    "ends that were asked for": storm(
        ends=[End("worker1", -9, "kill"), End("worker1", 0, "terminate"), End("worker2", -15, "terminate", ready=False)]
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_a_judge_finds_what_it_is_for(what: str) -> None:
    """Each of these defects is found by the judge that is named for it."""
    name, evidence, changes = FOUND[what]
    assert name in judge(dataclasses.replace(evidence, **changes))


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_right_passes_all_judges(what: str) -> None:
    """No judge finds anything."""
    assert judge(RIGHT[what]) == {}


def test_each_judge_is_seen_failing() -> None:
    """Nobody adds a judge that nothing has ever failed."""
    assert {name for name, _, _ in FOUND.values()} == JUDGES.keys()
