"""What an outcome means for its batch: the next step, by pure rules, without a clock or Redis."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pushlane.message_record import NO_REASON, REASON_CODES
from pushlane.outcome import Outcome
from pushlane_worker.queue.outcome import PushResult


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A channel's limits for retries. A message's age counts from when it joined its conversation."""

    max_attempts: int
    max_age_s: float
    backoff_base_s: float
    backoff_cap_s: float
    retry_after_cap_s: float
    on_unknown: Literal["retry", "dead_letter"]
    push_deadline_s: float
    """How long a push that was given up may still take effect; its conversation waits that long."""


REFUSED_S = 30.0
"""First wait of a conversation that is refused while others are not. It doubles: a person has to fix the cause."""


@dataclass(frozen=True, slots=True)
class History:
    """A message's history, without the push that is being judged."""

    attempts: int
    age_s: float


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do with a batch.

    Attributes:
        wait_ms: How long its conversation waits, or for a throttled channel how long its gate stays closed; -1 when
            the scripts' own rule decides.
        dead: One character per message: ``1`` for those to dead-letter; empty when the push was no attempt. If the
            channel may be to blame, ``lua/lib_blame.lua`` decides whether this applies.
        reason: The record's code for why they die.
        split: The size of the first part of a batch that is halved; 0 if it is not.
    """

    wait_ms: int = 0
    dead: str = ""
    reason: str = NO_REASON
    split: int = 0


def backoff_s(policy: RetryPolicy, attempt: int, jitter: float) -> float:
    """Full jitter: anything from 0 to base x 2^(attempt-1), at most the cap. ``jitter`` is in [0, 1)."""
    # 2**32 times any base is past any cap; a larger exponent would only overflow.
    return jitter * min(policy.backoff_cap_s, policy.backoff_base_s * 2.0 ** min(attempt - 1, 32))


def next_step(
    result: PushResult, batch: Sequence[History], policy: RetryPolicy, jitter: float, early_ms: int = 0
) -> NextStep:
    """The next step for a batch whose push had this result.

    ``early_ms`` is how long a probe's batch would still have waited: if the probe failed or its outcome is unknown, the
    batch waits on and has spent no attempt.
    """
    match result.outcome:
        case Outcome.MISCONFIGURED:
            return _set_aside(batch, policy)
        case Outcome.THROTTLED:
            return _wait(result, batch, policy)
        case Outcome.REJECTED:
            return _refuse(len(batch), whole=result.whole)
        case Outcome.UNKNOWN if policy.on_unknown == "dead_letter":
            wait_ms = round(1000 * policy.push_deadline_s)
            return NextStep(wait_ms, "1" * len(batch), REASON_CODES["unknown"])
        case Outcome.FAILED | Outcome.UNKNOWN:
            return NextStep(wait_ms=early_ms) if early_ms else _try_again(batch, policy, jitter)
    return NextStep()


def _set_aside(batch: Sequence[History], policy: RetryPolicy) -> NextStep:
    """The cost of a refusal if it is the conversation's own fault, which ``lua/lib_blame.lua`` decides."""
    wait_s = min(REFUSED_S * 2.0 ** min(max(message.attempts for message in batch), 32), policy.backoff_cap_s)
    return dataclasses.replace(_try_again(batch, policy, 0.0), wait_ms=round(1000 * max(wait_s, REFUSED_S)))


def _wait(result: PushResult, batch: Sequence[History], policy: RetryPolicy) -> NextStep:
    # Less than a ms or a past date says nothing about when; retrying at once would be throttled again.
    asked = max(result.retry_after_s or 0.0, 0.0)
    wait_ms = round(1000 * min(asked, policy.retry_after_cap_s)) or -1
    too_old = "".join("01"[message.age_s >= policy.max_age_s] for message in batch)
    if not result.lone or "1" not in too_old:
        return NextStep(wait_ms)
    return NextStep(wait_ms, too_old, REASON_CODES["exhausted"])


def _refuse(size: int, *, whole: bool) -> NextStep:
    if not whole and size > 1:
        return NextStep(split=left_part(size))
    return NextStep(dead="1" * size, reason=REASON_CODES["rejected"])


def left_part(size: int) -> int:
    """How many messages of a rejected batch of two or more go first: halving isolates the one that the API refuses.

    The halves get different part labels, and a push carries only one label. So they are pushed one after the other, in
    order, and messages that are added, cancelled or expired meanwhile cannot change a suspect part. Ten messages take
    at most 9 requests with one offender, 15 with two and 17 with three (a test counts all cases).
    """
    return (size + 1) // 2


def _try_again(batch: Sequence[History], policy: RetryPolicy, jitter: float) -> NextStep:
    spent = [message.attempts + 1 >= policy.max_attempts or message.age_s >= policy.max_age_s for message in batch]
    head = max((message.attempts for message, gone in zip(batch, spent, strict=True) if not gone), default=0)
    return NextStep(
        wait_ms=0 if all(spent) else round(1000 * backoff_s(policy, head + 1, jitter)),
        dead="".join("01"[gone] for gone in spent),
        reason=REASON_CODES["exhausted"],
    )
