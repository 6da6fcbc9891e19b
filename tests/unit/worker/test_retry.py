"""Every decision about a finished push, as a table of cases."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.message_record import REASONS
from pushlane.outcome import Outcome
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import History, NextStep, RetryPolicy, backoff_s, next_step

POLICY = RetryPolicy(
    max_attempts=40,
    max_age_s=86_400,
    backoff_base_s=1,
    backoff_cap_s=300,
    retry_after_cap_s=3600,
    on_unknown="retry",
    push_deadline_s=10,
)
LOSSY = dataclasses.replace(POLICY, on_unknown="dead_letter")
FRESH = History(attempts=0, age_s=0)
TIRED = History(attempts=39, age_s=0)
OLD = History(attempts=0, age_s=86_400)
ALMOST = History(attempts=38, age_s=86_399.999)
HALF = 0.5

HISTORIES = st.builds(History, st.integers(0, 9999), st.floats(0, 1e9))
BATCHES = st.lists(HISTORIES, min_size=1, max_size=10)
JITTERS = st.floats(0, 1, exclude_max=True)
OUTCOMES = st.sampled_from(Outcome)
RETRY_AFTERS = st.none() | st.floats(0, 1e300)


def step(outcome: Outcome, *batch: History, policy: RetryPolicy = POLICY, after_s: float | None = None) -> NextStep:
    """The next step with half of the jitter."""
    return next_step(PushResult(outcome, retry_after_s=after_s), batch, policy, HALF)


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.UNSENT])
@pytest.mark.parametrize("message", [FRESH, TIRED, OLD])
def test_these_outcomes_cost_no_message_anything(outcome: Outcome, message: History) -> None:
    """What was delivered or not sent waits for nothing here and kills nobody, however worn out."""
    assert step(outcome, message, message) == NextStep(wait_ms=0, dead="", reason="-")


@pytest.mark.parametrize(
    ("after_s", "wait_ms"),
    [
        (None, -1),
        (0.0, -1),
        (0.0001, -1),
        (0.001, 1),
        (1, 1000),
        (1.5, 1500),
        (3600, 3_600_000),
        (3600.001, 3_600_000),
        (99_999_999_999.0, 3_600_000),
        (math.inf, 3_600_000),
    ],
)
def test_a_throttled_push_obeys_retry_after_up_to_the_cap(after_s: float | None, wait_ms: int) -> None:
    """F49: what the API asked for counts up to RETRY_AFTER_CAP_S; nothing, and nearly nothing, is the gate's."""
    assert step(Outcome.THROTTLED, FRESH, after_s=after_s) == NextStep(wait_ms=wait_ms)


def test_a_throttled_push_is_no_attempt() -> None:
    """Not now is not an attempt: no message dies of it, whatever it has behind it."""
    assert step(Outcome.THROTTLED, TIRED, OLD, after_s=7) == NextStep(wait_ms=7000, dead="")


@pytest.mark.parametrize(
    ("batch", "dead", "wait_ms"),
    [
        ([FRESH], "0", 30_000),
        ([FRESH, History(1, 0)], "00", 60_000),
        ([History(3, 0)], "0", 240_000),
        ([History(4, 0)], "0", 300_000),
        ([TIRED, FRESH], "10", 300_000),
        ([OLD], "1", 30_000),
    ],
)
def test_what_is_refused_alone_is_tried_again_slowly_until_its_budget_is_over(
    batch: list[History], dead: str, wait_ms: int
) -> None:
    """From 30 s up, without jitter: others are delivered meanwhile, and what would mend it takes a person."""
    assert step(Outcome.MISCONFIGURED, *batch) == NextStep(wait_ms=wait_ms, dead=dead, reason="a")


def test_what_is_refused_alone_waits_thirty_seconds_also_under_a_lower_cap() -> None:
    """BACKOFF_CAP_S is for failures that pass."""
    hasty = dataclasses.replace(POLICY, backoff_cap_s=5)
    assert step(Outcome.MISCONFIGURED, History(3, 0), policy=hasty).wait_ms == 30_000


@pytest.mark.parametrize(("batch", "dead"), [((TIRED,), ""), ((OLD,), "1"), ((FRESH, OLD), "01")])
def test_what_is_throttled_alone_dies_of_its_age_and_of_nothing_else(batch: tuple[History, ...], dead: str) -> None:
    """A throttling is no attempt, but a room that is never let in must not fill the queue for ever."""
    decided = next_step(PushResult(Outcome.THROTTLED, retry_after_s=7, lone=True), batch, POLICY, HALF)
    assert decided == NextStep(wait_ms=7000, dead=dead, reason="a" if dead else "-")


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.THROTTLED])
def test_retry_after_moves_only_a_throttled_push(outcome: Outcome) -> None:
    """The header means something together with a throttling answer alone."""
    assert step(outcome, FRESH, after_s=1234) == step(outcome, FRESH)


def test_a_refused_batch_dies_with_the_reason() -> None:
    """A rejection is final for what was in the push; its conversation goes on at once."""
    assert step(Outcome.REJECTED, FRESH) == NextStep(wait_ms=0, dead="1", reason="r")
    assert step(Outcome.REJECTED, FRESH, TIRED, OLD) == NextStep(split=2)


@pytest.mark.parametrize(
    ("batch", "dead", "wait_ms"),
    [
        ([FRESH], "0", 500),
        ([FRESH] * 10, "0" * 10, 500),
        ([History(1, 0)], "0", 1000),
        ([History(2, 0)], "0", 2000),
        ([History(8, 0)], "0", 128_000),
        ([History(9, 0)], "0", 150_000),
        ([ALMOST], "0", 150_000),
        ([TIRED], "1", 0),
        ([OLD], "1", 0),
        ([History(9999, 0)], "1", 0),
        ([TIRED, OLD], "11", 0),
        ([TIRED, FRESH], "10", 500),
        ([FRESH, TIRED], "01", 500),
        ([FRESH, OLD, History(3, 0), TIRED, FRESH], "01010", 4000),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_a_batch_that_failed_backs_off_and_only_spent_messages_die(
    outcome: Outcome, batch: list[History], dead: str, wait_ms: int
) -> None:
    """Each message has its own budget; the survivor with most attempts says how long the conversation waits."""
    assert step(outcome, *batch) == NextStep(wait_ms=wait_ms, dead=dead, reason="a")


@pytest.mark.parametrize("batch", [(FRESH,), (TIRED,), (FRESH, OLD, TIRED)])
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_a_probe_before_its_time_that_failed_waits_on_and_is_no_attempt(
    outcome: Outcome, batch: tuple[History, ...]
) -> None:
    """The gate asked, not the message: it waits what it would have waited, and nobody dies of it."""
    assert next_step(PushResult(outcome), batch, POLICY, HALF, early_ms=59_000) == NextStep(wait_ms=59_000)


@pytest.mark.parametrize(
    ("outcome", "policy"),
    [(outcome, POLICY) for outcome in Outcome if outcome not in {Outcome.FAILED, Outcome.UNKNOWN}]
    + [(Outcome.UNKNOWN, LOSSY)],
)
def test_a_probe_before_its_time_is_like_any_other_push_unless_it_failed(outcome: Outcome, policy: RetryPolicy) -> None:
    """A refusal is one whenever it comes, and where duplicates are forbidden, so is what may have arrived."""
    early = next_step(PushResult(outcome), [FRESH, TIRED], policy, HALF, early_ms=59_000)
    assert early == step(outcome, FRESH, TIRED, policy=policy)


@pytest.mark.parametrize(("attempts", "dead"), [(0, "1"), (1, "1")])
def test_a_budget_of_one_attempt_is_one_push(attempts: int, dead: str) -> None:
    """MAX_ATTEMPTS counts pushes, not repeats."""
    once = dataclasses.replace(POLICY, max_attempts=1)
    assert step(Outcome.FAILED, History(attempts, 0), policy=once).dead == dead


@pytest.mark.parametrize("batch", [(FRESH,), (TIRED,), (FRESH, OLD, TIRED)])
def test_where_duplicates_are_forbidden_an_unknown_outcome_is_final(batch: tuple[History, ...]) -> None:
    """ON_UNKNOWN=dead_letter: nobody can tell, so all of it dies; its followers wait, as it may still take effect."""
    assert step(Outcome.UNKNOWN, *batch, policy=LOSSY) == NextStep(wait_ms=10_000, dead="1" * len(batch), reason="u")


def test_where_duplicates_are_forbidden_a_failed_push_is_tried_again() -> None:
    """Failed means that it certainly took no effect: a repeat duplicates nothing."""
    assert step(Outcome.FAILED, FRESH, policy=LOSSY) == step(Outcome.FAILED, FRESH)


@pytest.mark.parametrize(
    ("attempt", "longest_s"),
    [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (33, 300), (34, 300), (1030, 300), (9999, 300)],
)
def test_the_backoff_doubles_up_to_its_cap(attempt: int, longest_s: float) -> None:
    """1 s doubling to 5 min; an attempt in the thousands overflows nothing."""
    assert backoff_s(POLICY, attempt, 0.0) == 0.0
    assert backoff_s(POLICY, attempt, 0.5) == longest_s / 2
    assert longest_s * 0.999 < backoff_s(POLICY, attempt, 0.9999) < longest_s


@given(JITTERS, st.integers(1, 9999), st.floats(1e-3, 1e5), st.floats(1e-3, 86_400))
def test_the_jitter_never_leaves_its_bounds(jitter: float, attempt: int, base_s: float, cap_s: float) -> None:
    """Full jitter: from nothing to the whole of the wait, never above the cap, whatever the settings."""
    policy = dataclasses.replace(POLICY, backoff_base_s=base_s, backoff_cap_s=cap_s)
    assert 0 <= backoff_s(policy, attempt, jitter) <= cap_s


@given(OUTCOMES, BATCHES, st.sampled_from([POLICY, LOSSY]), JITTERS, RETRY_AFTERS)
def test_every_step_is_one_that_the_script_can_carry_out(
    outcome: Outcome, batch: list[History], policy: RetryPolicy, jitter: float, after_s: float | None
) -> None:
    """A mark a message or none, a known reason where somebody dies, a wait within its cap."""
    decided = next_step(PushResult(outcome, retry_after_s=after_s), batch, policy, jitter)
    assert set(decided.dead) <= {"0", "1"}
    assert len(decided.dead) in {0, len(batch)}
    assert "1" not in decided.dead or decided.reason in REASONS
    if outcome is Outcome.THROTTLED:
        assert decided.wait_ms == -1 or 0 < decided.wait_ms <= 3_600_000
    else:
        assert 0 <= decided.wait_ms <= 300_000
    if decided.dead and "0" not in decided.dead and outcome not in {Outcome.MISCONFIGURED, Outcome.UNKNOWN}:
        assert decided.wait_ms == 0


@given(BATCHES, JITTERS)
def test_a_message_dies_exactly_when_its_own_budget_is_over(batch: list[History], jitter: float) -> None:
    """No neighbour's history kills a message or keeps it."""
    together = next_step(PushResult(Outcome.FAILED), batch, POLICY, jitter).dead
    alone = "".join(next_step(PushResult(Outcome.FAILED), [message], POLICY, jitter).dead for message in batch)
    assert together == alone
