"""Whatever policies, routing and defects of ours do, the answer is a documented one, and recorded."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture
from support.callback import c2c, query
from support.questions import Asker, code, recorded_by

from pushlane.callback.decisions.feed import Feed
from pushlane.callback.moderation.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from pushlane.callback.decisions.decision import Decision

pytestmark = pytest.mark.long
BROKEN = [
    "raises",
    "raises_in_thread",
    "exits_in_thread",
    "cancelled",
    "times_out",
    "times_out_in_thread",
    "no_verdict",
    "true",
    "a_class",
    "unknown_kind",
    "unhashable_kind",
    "no_elements",
    "seven",
    "wrong_elements",
    "no_json",
    "locked",
    "surrogate",
    "nan",
    "custom_data",
    "a_number",
    "no_text",
    "huge",
    "huge_custom_data",
    "many",
    "in_thread",
    "hangs",
    "hangs_in_thread",
    "sleeps",
    "naps",
]


@pytest.mark.parametrize("policy", BROKEN)
@pytest.mark.parametrize("on_error", ["allow", "forbid"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_policy_gets_the_configured_answer(
    ask: Callable[..., Asker], redis: Redis, on_error: str, policy: str
) -> None:
    """One that raises, hangs or answers nonsense: in time, recorded as what was answered, and as its doing."""
    app = ask(on_error=on_error, policies=f"odd_policies:{policy}", deadline_s=0.6)
    started = time.monotonic()
    assert code(app.post(query())) == {"allow": 0, "forbid": 1}[on_error]
    assert time.monotonic() - started < 1.5
    (decision,) = [one for one in recorded_by(app, redis) if not one["late"]]
    assert decision["verdict"] == on_error
    assert decision["reason"]
    assert decision["policy"]


@pytest.mark.parametrize("policy", BROKEN)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_broken_policy_brings_a_masked_word_back(
    ask: Callable[..., Asker], redis: Redis, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """What is answered, recorded, released and relayed is what the mask has left."""
    recorded: list[Decision] = []
    record = Feed.record

    def look(feed: Feed, decision: Decision, **until: Any) -> Any:  # noqa: ANN401 # as the method
        recorded.append(decision)
        return record(feed, decision, **until)

    monkeypatch.setattr(Feed, "record", look)
    settings = {"blocked_words_action": "mask", "relay_channel": "support", "relay_room": "{To_Account}"}
    app = ask(on_error="allow", policies=f"blocked_words,odd_policies:{policy}", deadline_s=0.6, **settings)
    response = app.post(query(), json.dumps(c2c(1, "the casino")).encode())
    assert code(response) == 0
    masked = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "the ******"}}]
    assert response.json()["MsgBody"] == masked
    (decision,) = [one for one in recorded_by(app, redis) if not one["late"]]
    assert decision["verdict"] == "rewrite"
    assert 'the blocked word "casino"' in decision["reason"]
    assert [(effect["do"], effect["message"]["text"]) for effect in recorded[0].effects] == [
        ("decide", "the ******"),
        ("enqueue", "the ******"),
    ]


@pytest.mark.parametrize(
    ("policy", "expected"), [("forbids_oddly", 1), ("odd", 1), ("forbids_long", 1), ("discards_oddly", 2)]
)
def test_a_verdict_with_odd_parts_keeps_its_meaning(
    ask: Callable[..., Asker], redis: Redis, policy: str, expected: int
) -> None:
    """What a policy forbids is forbidden, also when its code, text or reason are no such thing; and it is recorded."""
    app = ask(policies=f"odd_policies:{policy}")
    assert code(app.post(query())) == expected
    (decision,) = recorded_by(app, redis)
    assert decision["verdict"] == ("forbid" if expected == 1 else "discard")
    assert decision["code"] is None
    assert len(decision["reason"]) <= 512
    assert len(redis.dump("pushlane:1:{decisions}:stream") or b"") < 10_000


@pytest.mark.parametrize(("on_error", "expected"), [("allow", 0), ("forbid", 1)])
def test_a_defect_of_ours_gets_the_configured_answer(
    ask: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch, on_error: str, expected: int
) -> None:
    """No status 500: the platform would deliver what `on_error` forbids."""

    async def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    app = ask(on_error=on_error)
    monkeypatch.setattr(Chain, "judge", fails)
    assert code(app.post(query())) == expected


@pytest.mark.parametrize(("text", "expected"), [("hello", 0), ("casino", 1)])
def test_a_defect_of_ours_changes_no_verdict(
    ask: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    """What was judged stands, also when it cannot be recorded."""

    async def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    app = ask(on_error="forbid" if expected == 0 else "allow")
    monkeypatch.setattr(Feed, "record", fails)
    assert code(app.post(query(), json.dumps(c2c(1, text)).encode())) == expected


@pytest.mark.parametrize("on_error", ["allow", "forbid"])
@pytest.mark.parametrize(
    "setting", [{"routing": "odd_policies:route_cancels"}, {"policies": "blocked_words,odd_policies:cancels_at_once"}]
)
def test_who_cancels_the_request_itself_changes_no_verdict(
    ask: Callable[..., Asker], redis: Redis, setting: dict[str, str], on_error: str
) -> None:
    """Status 500 would let the message pass; and what was answered is on record."""
    app = ask(on_error=on_error, **setting)
    assert code(app.post(query())) == 0
    assert code(app.post(query(), json.dumps(c2c(2, "casino")).encode())) == 1
    assert {one["verdict"] for one in recorded_by(app, redis, 2)} == {"allow", "forbid"}


def test_whatever_routing_raises_costs_nobody_the_answer(ask: Callable[..., Asker], redis: Redis) -> None:
    """The message passes, as the policies have said, and goes to no room."""
    app = ask(on_error="forbid", routing="odd_policies:route_times_out")
    assert code(app.post(query())) == 0
    (decision,) = recorded_by(app, redis)
    assert decision["verdict"] == "allow"


def test_the_log_tells_what_failed_but_not_what_it_says(
    ask: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policies, routing and our own defects may quote the message in their errors."""
    lines = LogCapture()
    log = structlog.wrap_logger(None, processors=[lines])
    secret = json.dumps(c2c(1, "canary")).encode()

    async def fails(*_: object, **__: object) -> None:
        raise ValueError("canary")

    app = ask(policies="odd_policies:quotes", routing="odd_policies:route")
    monkeypatch.setattr("pushlane.service.logs.structlog.get_logger", lambda: log)
    app.post(query(), secret)
    monkeypatch.setattr(Feed, "record", fails)
    app.post(query(), secret)
    failed = [line["event"] for line in lines.entries if line["log_level"] == "error"]
    assert failed == ["policy.failed", "routing.failed"] * 2 + ["decision.failed"]
    assert all("canary" not in str(line) and "exc_info" not in line for line in lines.entries)


def test_nonsense_that_comes_late_is_recorded_as_late(ask: Callable[..., Asker], redis: Redis) -> None:
    """And it stands in the way of no other decision."""
    app = ask(policies="odd_policies:naps", deadline_s=0.6, on_error="forbid")
    assert code(app.post(query())) == 1
    first, late = recorded_by(app, redis, 2)
    assert (first["late"], late["late"], late["verdict"]) == (False, True, "forbid")
