"""There is a judgement in time, also when the request or the chain ends first."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs
from support.policies import ALLOW, DEADLINE_S, MASKS, MESSAGE, Async, Run, check_masked, hanging, no_question_left
from support.waiting import wait_until_async

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.moderation import chain as chain_module
from pushlane.callback.moderation.chain import ON_ERROR, Late


async def test_whoever_is_late_gets_the_configured_verdict_and_is_told(run: Run, gate: asyncio.Event) -> None:
    """The answer comes at the deadline; the verdict goes to the record when it comes."""
    started = time.monotonic()
    judged = await run(hanging(gate)).judge(MESSAGE)
    assert DEADLINE_S * 0.9 < time.monotonic() - started < DEADLINE_S + 0.5
    assert (judged.verdict.kind, judged.verdict.policy, judged.message) == ("forbid", ON_ERROR, MESSAGE)
    assert "in time" in judged.verdict.reason
    assert run.late == []
    gate.set()
    await wait_until_async(lambda: asyncio.sleep(0, run.late), "the late verdict")
    [(message, late)] = run.late
    assert (message, late.verdict.reason) == (MESSAGE, "late")


async def test_the_deadline_is_for_all_together(run: Run) -> None:
    """Three policies of half the deadline each are too slow."""
    slow = [Async(lambda _: asyncio.sleep(DEADLINE_S / 2)) for _ in range(3)]
    assert (await run(*slow).judge(MESSAGE)).verdict.policy == ON_ERROR


async def test_less_time_may_be_left(run: Run, gate: asyncio.Event) -> None:
    """A caller who has lost time before says so; more than its own the chain never takes."""
    chain = run(hanging(gate))
    for within_s, most_s in [(0.0, 0.15), (-1.0, 0.15), (9.0, DEADLINE_S + 0.5)]:
        started = time.monotonic()
        assert (await chain.judge(MESSAGE, within_s=within_s)).verdict.kind == "forbid"
        assert time.monotonic() - started < most_s


async def test_what_is_late_for_ever_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left."""
    monkeypatch.setattr(chain_module, "LATE_S", 0.05)
    chain = run(Async(lambda _: asyncio.Event().wait()))
    await asyncio.gather(*(chain.judge(MESSAGE) for _ in range(20)))
    await wait_until_async(no_question_left, "the policies to be given up")
    assert (run.late, chain._asked) == ([], set())


async def test_the_late_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that always hangs fills no memory."""
    monkeypatch.setattr(chain_module, "MAX_LATE", 10)
    chain = run(Async(lambda _: asyncio.Event().wait()), deadline_s=0.05)
    for _ in range(5):
        await asyncio.gather(*(chain.judge(MESSAGE) for _ in range(10)))
    await asyncio.sleep(0)
    assert len(chain._asked) <= 10


@pytest.mark.parametrize("before", [0, DEADLINE_S + 0.1])
async def test_who_is_ended_at_the_deadline_gets_the_configured_verdict(run: Run, before: float) -> None:
    """As it is late, whichever clock rings first; and there is no late verdict."""

    async def end() -> None:
        await asyncio.sleep(before)
        raise Late

    with capture_logs() as lines:
        judged = await run(MASKS, Async(lambda _: end()), on_error=ALLOW).judge(MESSAGE)
        await wait_until_async(no_question_left, "its end")
    check_masked(judged)
    assert "the policies did not answer in time" in judged.verdict.reason
    assert (run.late, lines) == ([], [])


async def test_a_policy_elsewhere_knows_how_long_it_has(run: Run) -> None:
    """Until the chain's own deadline, or the caller's if that is earlier."""
    told: list[float] = []

    class Notes(Async):
        async def ask(self, _: ChatMessage, until: float) -> None:
            told.append(until - time.monotonic())

    chain = run(Notes(lambda _: None), deadline_s=50)
    await chain.judge(MESSAGE)
    await chain.judge(MESSAGE, within_s=9)
    assert 40 < told[0] <= 50
    assert 5 < told[1] <= 9


async def test_a_cancelled_request_leaves_nothing_and_disturbs_nobody(run: Run, gate: asyncio.Event) -> None:
    """Its client is gone; the one beside it gets its answer."""
    chain = run(hanging(gate), deadline_s=5)
    gone, stays = (asyncio.create_task(chain.judge(MESSAGE)) for _ in range(2))
    await asyncio.sleep(0.05)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await wait_until_async(lambda: asyncio.sleep(0, len(chain._asked) == 1), "its question to be given up")
    gate.set()
    assert (await stays).verdict.reason == "late"
    await wait_until_async(lambda: asyncio.sleep(0, not chain._asked), "nothing to be left")
    assert run.late == []


async def test_closing_answers_who_still_waits(run: Run, gate: asyncio.Event) -> None:
    """With the configured verdict, as at the deadline."""
    chain = run(MASKS, hanging(gate), deadline_s=5, on_error=ALLOW)
    waits = asyncio.create_task(chain.judge(MESSAGE))
    await asyncio.sleep(0.05)
    chain.close()
    check_masked(await waits)
    assert run.late == []


async def test_whoever_is_given_up_may_clean_up_but_is_no_failure(run: Run) -> None:
    """The log has no line of it."""
    cleaned: list[int] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    chain = run(Async(lambda _: hang()), deadline_s=0.01)
    with capture_logs() as lines:
        await chain.judge(MESSAGE)
        chain.close()
        await wait_until_async(no_question_left, "the policy to be given up")
    assert (cleaned, lines) == ([1], [])


async def test_closing_gives_up_what_is_late(run: Run, gate: asyncio.Event) -> None:
    """Nobody hears of it."""
    chain = run(hanging(gate))
    await chain.judge(MESSAGE)
    chain.close()
    await wait_until_async(no_question_left, "the policy to be given up")
    gate.set()
    await asyncio.sleep(0.05)
    assert run.late == []
