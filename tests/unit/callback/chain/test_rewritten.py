"""What a policy that fails or is late finds already rewritten: that stays."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.policies import ALLOW, KINDS, MASKS, MESSAGE, Async, Quick, Run, check_masked, hanging, raising, text
from support.waiting import wait_until_async

from pushlane.callback.moderation.chain import ON_ERROR, BadRewrite
from pushlane.callback.verdict import Verdict

CLEARS = Async(lambda _: Verdict.rewrite(custom_data="{}"), "clear")
NO_MESSAGE = [[], [{}], [7], [*text("x"), {"MsgType": "TIMTextElem"}], text(object()), text("\ud800")]  # type: ignore[arg-type] # mistakes


@KINDS
async def test_what_is_allowed_after_an_error_is_what_was_rewritten_before(run: Run, kind: type) -> None:
    """A word that is masked stays so, and the record has both."""
    judged = await run(MASKS, kind(raising(ValueError("x")), "bad"), on_error=ALLOW).judge(MESSAGE)
    check_masked(judged)
    assert judged.verdict.policy == ON_ERROR
    assert judged.verdict.reason == "policy bad raised; mask had rewritten it: masked"
    judged = await run(MASKS, CLEARS, kind(raising(ValueError("x"))), on_error=ALLOW).judge(MESSAGE)
    check_masked(judged, custom_data="{}")


async def test_what_is_allowed_at_the_deadline_is_what_was_rewritten_before(run: Run, gate: asyncio.Event) -> None:
    """And the late verdict is reported all the same."""
    judged = await run(MASKS, hanging(gate), on_error=ALLOW).judge(MESSAGE)
    check_masked(judged)
    assert judged.verdict.policy == ON_ERROR
    assert judged.verdict.reason == "the policies did not answer in time; mask had rewritten it: masked"
    gate.set()
    await wait_until_async(lambda: asyncio.sleep(0, run.late), "the late verdict")
    [(message, late)] = run.late
    assert (message, late.verdict.kind, late.message.text) == (MESSAGE, "forbid", "***")


@KINDS
async def test_what_is_forbidden_after_an_error_stays_so(run: Run, kind: type) -> None:
    """Whatever was rewritten before."""
    judged = await run(MASKS, kind(raising(ValueError("x")))).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.msg_body) == ("forbid", None)


@KINDS
@pytest.mark.parametrize("msg_body", NO_MESSAGE)
async def test_a_rewrite_that_can_not_be_sent_is_left_out(run: Run, kind: type, msg_body: list[Any]) -> None:
    """The configured verdict stands for it; what was rewritten before and after it stays."""
    bad = kind(lambda _: Verdict.rewrite(msg_body=msg_body), "bad")
    judged = await run(bad).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.policy, judged.message) == ("forbid", "bad", MESSAGE)
    judged = await run(bad, on_error=ALLOW).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.policy, judged.message) == ("allow", "bad", MESSAGE)
    assert judged.verdict.reason == "its rewrite is not a valid message"
    check_masked(await run(MASKS, bad, on_error=ALLOW).judge(MESSAGE))
    check_masked(await run(bad, MASKS, on_error=ALLOW).judge(MESSAGE))
    check_masked(await run(MASKS, bad, kind(raising(ValueError("x"))), on_error=ALLOW).judge(MESSAGE))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (Quick(lambda _: Verdict.rewrite(custom_data="x" * 300_000), "bad"), "the rewrite has 300021 bytes; a message"),
        (Async(raising(BadRewrite("it is too long")), "bad"), "it is too long"),
    ],
    ids=["here", "elsewhere"],
)
async def test_the_log_says_what_is_wrong_with_a_rewrite(run: Run, bad: Quick | Async, problem: str) -> None:
    """For the policy's author; the rest of the chain is asked."""
    with capture_logs() as logs:
        check_masked(await run(bad, MASKS, on_error=ALLOW).judge(MESSAGE))
    assert [(one["event"], one["policy"]) for one in logs] == [("policy.bad_rewrite", "bad")]
    assert logs[0]["problem"].startswith(problem)


async def test_whoever_stands_behind_a_rewrite_that_can_not_be_sent_is_asked(run: Run) -> None:
    """About the message without it: it could have been forbidden."""
    bad = Quick(lambda _: Verdict.rewrite(msg_body=[]))
    strict = Quick(lambda seen: Verdict.forbid() if seen == MESSAGE else None)
    assert (await run(bad, strict, on_error=ALLOW).judge(MESSAGE)).verdict.kind == "forbid"


class Sulky(str):
    """A text that no other is compared with."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Never."""
        raise RuntimeError


@KINDS
async def test_a_rewrite_whose_parts_raise_is_a_policy_that_raises(run: Run, kind: type) -> None:
    """And what was masked before stays so."""
    bad = kind(lambda _: Verdict.rewrite(custom_data=Sulky("x")), "bad")
    check_masked(await run(MASKS, bad, on_error=ALLOW).judge(MESSAGE._replace(custom_data="")))
