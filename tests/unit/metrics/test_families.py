"""What an overview becomes, and that the documentation has it all."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.documentation import page, table
from support.metrics import Metrics

from pushlane import __version__
from pushlane.message_record import REASONS
from pushlane.metrics.exposition import Family, expose
from pushlane.metrics.families import GATES, SpoolSize, families
from pushlane.metrics.reading import Fleet
from pushlane.operators.decisions import DecisionCount, Unfed
from pushlane.operators.overview import Gate, Histogram, Overview, RateUse
from pushlane.outcome import Outcome
from pushlane.scripts import source

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OPEN = Gate("open", None, "", None, None, None)
SECONDS = Histogram({0.01: 2, 10.0: 3}, 3, 0.5)
OUTCOMES = [outcome.name.lower() for outcome in Outcome]
STATES = {"ready": 3, "delayed": 4, "leased": 5, "held": 6, "blocked": 7}
SUPPORT = Overview(
    channel="support",
    at=NOW,
    kind="cinnox",
    queue="own",
    consumed=False,
    depth=1,
    max_queued=9,
    scheduled=2,
    **STATES,
    oldest_ready_at=NOW - timedelta(seconds=90),
    oldest_blocked_at=None,
    gate=OPEN,
    rate=RateUse(5, 20, 60),
    accepted=10,
    delivered=8,
    pushes=dict(zip(OUTCOMES, range(7), strict=True)),
    push_seconds=SECONDS,
    push_messages=Histogram({1: 1, 10: 3}, 3, 12),
    dead_letters=11,
    dead_lettered={**dict.fromkeys(REASONS.values(), 0), "expired": 12},
    unknown_pushes=0,
    last_unknown=(),
)
FLEET = Fleet(
    complete=True,
    channels=[SUPPORT],
    registered=2,
    workers={"pushlane": 3},
    decisions=[DecisionCount("forbid", "words", SECONDS)],
    unfed=Unfed(13, 14),
)


def shown(fleet: Fleet = FLEET, spool: SpoolSize | None = None) -> Metrics:
    """The metrics, as Prometheus reads them."""
    return Metrics(expose(families(fleet, spool)).decode())


def test_a_channel_tells_all_there_is() -> None:
    """Each number under its name."""
    found = shown()
    values = {name: found.value(name, channel="support") for name in found}
    assert {name.removeprefix("pushlane_"): value for name, value in values.items() if value is not None} == {
        "messages_accepted_total": 10,
        "messages_delivered_total": 8,
        "messages_queued": 1,
        "messages_scheduled": 2,
        "messages_limit": 9,
        "oldest_ready_age_seconds": 90,
        "oldest_blocked_age_seconds": 0,
        "dead_letters": 11,
        "push_duration_seconds_count": 3,
        "push_duration_seconds_sum": 0.5,
        "push_messages_count": 3,
        "push_messages_sum": 12,
        "paused": 0,
        "rate_used_ratio": 0.25,
    }
    assert found.values("pushlane_conversations", "state", channel="support") == STATES
    assert found.values("pushlane_gate", "state", channel="support") == {"open": 1}
    assert found.value("pushlane_channel_info", channel="support", kind="cinnox", queue="own") == 1


def test_every_state_outcome_and_reason_is_there_before_it_happens() -> None:
    """Prometheus does not see a counter begin at 1."""
    found = shown()
    for name, label, words in (
        ("pushlane_pushes_total", "outcome", OUTCOMES),
        ("pushlane_dead_lettered_total", "reason", REASONS.values()),
        ("pushlane_gate", "state", GATES),
    ):
        for word in words:
            assert found.value(name, channel="support", **{label: word}) is not None, word
    assert found.values("pushlane_pushes_total", "outcome", channel="support") == {
        word: number for number, word in enumerate(OUTCOMES) if number
    }
    assert found.values("pushlane_dead_lettered_total", "reason", channel="support") == {"expired": 12}


def test_the_states_of_a_gate_are_those_of_the_scripts() -> None:
    """One that only the scripts know would show a gate in no state at all."""
    assert set(re.findall(r"change_gate\(\w+, '(\w+)'", source("turn", "pushlane_worker"))) == set(GATES)


@pytest.mark.parametrize(
    ("gate", "state", "paused"),
    [
        (replace(OPEN, state="broken"), "broken", 0),
        (replace(OPEN, state="throttled", paused_since=NOW), "throttled", 1),
    ],
)
def test_a_gate_is_in_one_state_and_may_be_paused(gate: Gate, state: str, paused: int) -> None:
    """Both are told."""
    found = shown(replace(FLEET, channels=[replace(SUPPORT, gate=gate)]))
    assert found.values("pushlane_gate", "state", channel="support") == {state: 1}
    assert found.value("pushlane_paused", channel="support") == paused


def test_what_does_not_apply_is_not_told() -> None:
    """No share of a limit without one; nothing of what did not answer; no spool where there is none."""
    found = shown(replace(FLEET, channels=[replace(SUPPORT, rate=RateUse(0, None, 60))]))
    assert found.value("pushlane_rate_used_ratio", channel="support") is None
    assert found.value("pushlane_spool_bytes") is None
    assert set(shown(Fleet())) == {"pushlane_redis_up", "pushlane_build_info"}
    assert shown(Fleet()).value("pushlane_redis_up") == 0


def test_a_time_in_the_future_is_no_age() -> None:
    """A server's clock may step back."""
    found = shown(replace(FLEET, channels=[replace(SUPPORT, oldest_ready_at=NOW + timedelta(seconds=1))]))
    assert found.value("pushlane_oldest_ready_age_seconds", channel="support") == 0


def test_what_belongs_to_no_channel() -> None:
    """Also a queue that no worker consumes."""
    found = shown(FLEET, SpoolSize(15, 16))
    names = ("registered_channels", "decisions_unfed", "lanes_waiting", "spool_bytes", "spool_decisions", "redis_up")
    assert [found.value(f"pushlane_{name}") for name in names] == [2, 13, 14, 15, 16, 1]
    assert [found.value("pushlane_queue_workers", queue=queue) for queue in ("pushlane", "own")] == [3, 0]
    made = {"policy": "words", "verdict": "forbid"}
    assert found.value("pushlane_decisions_total", **made) == 3
    assert found.value("pushlane_decision_duration_seconds_sum", **made) == 0.5
    assert found.value("pushlane_build_info", version=__version__) == 1


def told(head: str, extra: tuple[str, ...]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The metrics in a table of the documentation, with their types and labels."""
    rows = table(head, page("metrics"))
    names = {cell: re.fullmatch(r"`(\w+)(?:\{([\w,]+)\})?`", cell) for cell in rows}
    return {
        found[1]: (rows[cell][0], (*extra, *(found[2] or "").split(",")) if found[2] else extra)
        for cell, found in names.items()
        if found
    }


def exported(all_of_them: Iterable[Family]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The metrics, with their types and labels."""
    return {one.name: (one.kind, tuple(one.labels)) for one in all_of_them}


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    """No more and no less than there are."""
    assert told("metric", ("channel",)) | told("metric of all", ()) == exported(families(FLEET, SpoolSize(0, 0)))
