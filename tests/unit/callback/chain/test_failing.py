"""Policies that raise, answer nonsense or cancel their task: the configured verdict."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.policies import (
    ALLOW,
    DEADLINE_S,
    KINDS,
    MASKS,
    MESSAGE,
    ON_ERROR,
    Async,
    Quick,
    Run,
    check_masked,
    raising,
)

from pushlane.callback.decisions.decision import Decision
from pushlane.callback.decisions.recorder import _arguments
from pushlane.callback.moderation import chain
from pushlane.callback.moderation.chain import Chain
from pushlane.callback.verdict import MAX_TEXT_CHARS, Verdict


@KINDS
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        StopIteration(),
        SystemExit(3),
        asyncio.CancelledError(),
        TimeoutError(),
        MemoryError(),
        GeneratorExit(),
        BaseException("such as gevent's Timeout"),
        BaseExceptionGroup("", [SystemExit(3)]),
    ],
)
async def test_who_raises_gets_the_configured_verdict(run: Run, kind: type, error: BaseException) -> None:
    """Whatever it raises, an exit and a cancellation of its own among it; nobody behind it is asked."""
    asked: list[str] = []
    judged = await run(kind(raising(error), "bad"), kind(lambda _: asked.append("last"))).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", chain.ON_ERROR)
    assert "bad" in judged.verdict.reason
    assert (judged.message, asked) == (MESSAGE, [])


@KINDS
async def test_the_log_tells_who_raised_and_where_but_not_what_it_says(run: Run, kind: type) -> None:
    """An error may quote the message: that of this conversion does."""
    with capture_logs() as lines:
        await run(kind(lambda message: float(message.text), "bad")).judge(MESSAGE)
    (line,) = lines
    assert (line["event"], line["policy"], line["key"], line["error"]) == (
        "policy.failed",
        "bad",
        "1_1_1",
        "ValueError",
    )
    assert f'File "{__file__}"' in line["exception"]
    assert "exc_info" not in line
    assert MESSAGE.text not in str(line)


@KINDS
@pytest.mark.parametrize(
    "said",
    [True, "forbid", 1, {}, Verdict, Verdict("no"), Verdict(["x"]), Verdict("rewrite", msg_body=7)],  # type: ignore[arg-type] # mistakes
)
async def test_nonsense_gets_the_configured_verdict(run: Run, kind: type, said: object) -> None:
    """What is no verdict allows nothing."""
    judged = await run(kind(lambda _: said)).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", chain.ON_ERROR)


@KINDS
@pytest.mark.parametrize(
    "beside",
    [
        {"code": 120_001.0},
        {"code": True},
        {"code": 10**5000},
        {"code": object()},
        {"text": b"bytes"},
        {"text": "\ud800"},
        {"reason": ValueError("x")},
        {"reason": "\ud800"},
        {"reason": "r" * 100_000},
        {"msg_body": object()},
        {"custom_data": b"x"},
        {"policy": object()},
    ],
)
async def test_what_is_forbidden_stays_so_and_can_be_recorded(run: Run, kind: type, beside: dict[str, Any]) -> None:
    """Nonsense beside it neither lets it pass nor breaks the record, which others share."""
    judged = await run(kind(lambda _: Verdict("forbid", **beside), "judge")).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", "judge")
    assert len(judged.verdict.reason) <= MAX_TEXT_CHARS
    judged.verdict.reason.encode()
    _arguments(Decision.of(MESSAGE, judged.verdict, at_ms=1, took_ms=1))


def test_an_interrupt_is_for_the_process() -> None:
    """Somebody wants it to end."""
    chain = Chain([Quick(raising(KeyboardInterrupt()))], DEADLINE_S, ON_ERROR, lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        chain.judge(MESSAGE).send(None)


def cancel() -> None:
    """What a policy can do to the task that it runs in."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def cancelling(said: object) -> Async:
    """Cancels the task that asks it, and answers without a look at what becomes of that."""

    def judge(_: object) -> object:
        cancel()
        return said

    return Async(judge)


async def test_a_policy_that_cancels_its_own_task_gets_the_configured_verdict(run: Run) -> None:
    """As its last act, before it waits, and before another one does."""

    async def wait() -> None:
        cancel()
        await asyncio.sleep(0)

    for policies in (
        [cancelling(None)],
        [Async(lambda _: wait())],
        [cancelling(None), Async(lambda _: asyncio.sleep(0))],
    ):
        judged = await run(*policies).judge(MESSAGE)
        assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", chain.ON_ERROR)
        check_masked(await run(MASKS, *policies, on_error=ALLOW).judge(MESSAGE))
        check_masked(await run(cancelling(None), MASKS, on_error=ALLOW).judge(MESSAGE))


@pytest.mark.parametrize("said", [Verdict.forbid(reason="why"), Verdict.discard(reason="why")])
async def test_what_is_decided_stays_so_when_the_task_is_cancelled(run: Run, said: Verdict) -> None:
    """By the policy that cancels it, or by one behind it."""
    for policies in ([cancelling(said)], [cancelling(None), Quick(lambda _: said)]):
        judged = await run(*policies, on_error=ALLOW).judge(MESSAGE)
        assert (judged.verdict.kind, judged.verdict.reason) == (said.kind, "why")
