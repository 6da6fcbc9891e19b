"""Whatever policies do, there is a judgement in time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.waiting import wait_until_async

from pushlane.callback import chain as chain_module
from pushlane.callback.chain import CHAIN, Chain, Elsewhere, Judgement, Late
from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.decision import Decision
from pushlane.callback.recorder import _arguments
from pushlane.callback.verdict import MAX_TEXT_CHARS, Policy, Verdict

DEADLINE_S = 0.2
ON_ERROR, ALLOW = Verdict("forbid"), Verdict("allow")
MESSAGE = ChatMessage(
    command="C2C.CallbackBeforeSendMsg",
    sdk_app_id="1",
    sender="alice",
    receiver="bob",
    key="1_1_1",
    msg_body=[{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}],
    custom_data="",
    online_only=False,
    fields={},
)

Judge = Callable[[ChatMessage], Any]


@dataclass
class Quick:
    """A policy that runs at once, as the built-in ones do."""

    says: Judge
    name: str = "quick"

    def judge(self, message: ChatMessage) -> Any:  # noqa: ANN401 # policies say anything
        """What the test says."""
        return self.says(message)


@dataclass
class Async(Elsewhere):
    """A policy that runs elsewhere."""

    says: Judge
    name: str = "async"

    async def ask(self, message: ChatMessage, until: float) -> Any:  # noqa: ANN401, ARG002 # the same
        """What the test says, now or later."""
        said = self.says(message)
        return await said if isinstance(said, Awaitable) else said


KINDS = pytest.mark.parametrize("kind", [Quick, Async])


@dataclass
class Run:
    """Chains of one test, and what came late."""

    late: list[tuple[ChatMessage, Judgement]] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)

    def __call__(
        self, *policies: Policy | Elsewhere, deadline_s: float = DEADLINE_S, on_error: Verdict = ON_ERROR
    ) -> Chain:
        """A chain of these policies."""
        chain = Chain(policies, deadline_s, on_error, lambda message, judged: self.late.append((message, judged)))
        self.chains.append(chain)
        return chain


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Makes chains; at the end none has left a task behind."""
    run = Run()
    yield run
    for chain in run.chains:
        chain.close()
    await wait_until_async(_alone, "the chain's tasks to end")


async def _alone() -> bool:
    return not [task for task in asyncio.all_tasks() if "_ask_all" in repr(task)]


def text(new: str) -> list[dict[str, Any]]:
    """A body of this text."""
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": new}}]


# Order and verdicts


async def test_no_policy_allows(run: Run) -> None:
    """An empty chain lets everything pass."""
    assert await run().judge(MESSAGE) == Judgement(Verdict("allow", policy=CHAIN), MESSAGE)


@KINDS
@pytest.mark.parametrize("said", [None, Verdict.allow(), Verdict.allow(reason="nice")])
async def test_who_has_nothing_against_it_lets_it_pass(run: Run, kind: type, said: Verdict | None) -> None:
    """None and allow say the same."""
    judged = await run(kind(lambda _: said), kind(lambda _: said)).judge(MESSAGE)
    assert (judged.verdict.kind, judged.message) == ("allow", MESSAGE)


async def test_policies_are_asked_in_their_order(run: Run) -> None:
    """Also when those here and those elsewhere alternate."""
    asked: list[int] = []

    def note(number: int) -> Judge:
        return lambda _: asked.append(number)

    await run(Async(note(0)), Async(note(1)), Quick(note(2)), Quick(note(3)), Async(note(4))).judge(MESSAGE)
    assert asked == [0, 1, 2, 3, 4]


@KINDS
@pytest.mark.parametrize("said", [Verdict.forbid(code=120_001, text="no", reason="why"), Verdict.discard(reason="why")])
async def test_the_first_that_forbids_ends_the_chain(run: Run, kind: type, said: Verdict) -> None:
    """Nobody behind it is asked, and it is named."""
    asked: list[str] = []
    last = kind(lambda _: asked.append("last"))
    judged = await run(kind(lambda _: None), kind(lambda _: said, "judge"), last).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.reason, judged.verdict.policy) == (said.kind, "why", "judge")
    assert (judged.verdict.code, judged.verdict.text) == (said.code, said.text)
    assert asked == []


@KINDS
async def test_each_is_asked_about_what_the_ones_before_left(run: Run, kind: type) -> None:
    """A rewrite is passed on; what it did not touch stays."""
    seen: list[tuple[str, str]] = []
    first = kind(lambda _: Verdict.rewrite(msg_body=text("one")), "first")

    def look(message: ChatMessage) -> Verdict:
        seen.append((message.text, message.custom_data))
        return Verdict.rewrite(custom_data="two")

    second, third = kind(look, "second"), kind(lambda m: seen.append((m.text, m.custom_data)))
    judged = await run(first, second, third).judge(MESSAGE)
    assert seen == [("one", ""), ("one", "two")]
    assert (judged.verdict.kind, judged.verdict.policy) == ("rewrite", "second")
    assert (judged.verdict.msg_body, judged.verdict.custom_data) == (text("one"), "two")
    assert (judged.message.text, judged.message.custom_data) == ("one", "two")


async def test_a_rewrite_that_is_forbidden_later_is_forbidden(run: Run) -> None:
    """The last word is the forbidding one's."""
    judged = await run(Quick(lambda _: Verdict.rewrite(msg_body=text("x"))), Quick(lambda _: Verdict.forbid())).judge(
        MESSAGE
    )
    assert (judged.verdict.kind, judged.verdict.msg_body) == ("forbid", None)


async def test_custom_data_can_be_cleared(run: Run) -> None:
    """Empty is something else than untouched, in the answer for a repeat too."""
    message = MESSAGE._replace(custom_data="x")
    judged = await run(Quick(lambda _: Verdict.rewrite(custom_data=""))).judge(message)
    assert judged.verdict.custom_data == ""
    decision = Decision.of(MESSAGE, judged.verdict, at_ms=1, took_ms=1)
    assert Decision.read(decision.document()).verdict == judged.verdict


# Whoever raises, or answers nonsense


def raising(error: BaseException) -> Judge:
    """A policy that raises."""

    def judge(_: ChatMessage) -> None:
        raise error

    return judge


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
    assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", CHAIN)
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
    [True, "forbid", 1, {}, Verdict, Verdict("no"), Verdict(["x"]), Verdict("rewrite", msg_body=7)],  # type: ignore[arg-type]
)
async def test_nonsense_gets_the_configured_verdict(run: Run, kind: type, said: object) -> None:
    """What is no verdict allows nothing."""
    judged = await run(kind(lambda _: said)).judge(MESSAGE)
    assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", CHAIN)


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


async def test_a_rewrite_may_be_any_sequence(run: Run) -> None:
    """Also one that can be read only once."""
    judged = await run(Quick(lambda _: Verdict.rewrite(msg_body=iter(text("new"))))).judge(MESSAGE)  # type: ignore[arg-type]
    assert judged.verdict.msg_body == text("new")
    assert judged.message.text == "new"


# The deadline


@pytest.fixture
def gate() -> asyncio.Event:
    """What those wait for that hang."""
    return asyncio.Event()


def hanging(gate: asyncio.Event) -> Async:
    """Hangs, then forbids."""

    async def hang() -> Verdict:
        await gate.wait()
        return Verdict.forbid(reason="late")

    return Async(lambda _: hang())


async def test_whoever_is_late_gets_the_configured_verdict_and_is_told(run: Run, gate: asyncio.Event) -> None:
    """The answer comes at the deadline; the verdict goes to the record when it comes."""
    started = time.monotonic()
    judged = await run(hanging(gate)).judge(MESSAGE)
    assert DEADLINE_S * 0.9 < time.monotonic() - started < DEADLINE_S + 0.5
    assert (judged.verdict.kind, judged.verdict.policy, judged.message) == ("forbid", CHAIN, MESSAGE)
    assert "in time" in judged.verdict.reason
    assert run.late == []
    gate.set()
    await wait_until_async(lambda: asyncio.sleep(0, run.late), "the late verdict")
    [(message, late)] = run.late
    assert (message, late.verdict.reason) == (MESSAGE, "late")


async def test_the_deadline_is_for_all_together(run: Run) -> None:
    """Three policies of half the deadline each are too slow."""
    slow = [Async(lambda _: asyncio.sleep(DEADLINE_S / 2)) for _ in range(3)]
    assert (await run(*slow).judge(MESSAGE)).verdict.policy == CHAIN


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
    await wait_until_async(_alone, "the policies to be given up")
    assert (run.late, chain._asked) == ([], set())


async def test_the_late_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that always hangs fills no memory."""
    monkeypatch.setattr(chain_module, "MAX_LATE", 10)
    chain = run(Async(lambda _: asyncio.Event().wait()), deadline_s=0.05)
    for _ in range(5):
        await asyncio.gather(*(chain.judge(MESSAGE) for _ in range(10)))
    await asyncio.sleep(0)
    assert len(chain._asked) <= 10


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
    return Async(lambda _: (cancel(), said)[1])  # type: ignore[func-returns-value]


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
        assert (judged.verdict.kind, judged.verdict.policy) == ("forbid", CHAIN)
        check_masked(await run(MASKS, *policies, on_error=ALLOW).judge(MESSAGE))
        check_masked(await run(cancelling(None), MASKS, on_error=ALLOW).judge(MESSAGE))


@pytest.mark.parametrize("said", [Verdict.forbid(reason="why"), Verdict.discard(reason="why")])
async def test_what_is_decided_stays_so_when_the_task_is_cancelled(run: Run, said: Verdict) -> None:
    """By the policy that cancels it, or by one behind it."""
    for policies in ([cancelling(said)], [cancelling(None), Quick(lambda _: said)]):
        judged = await run(*policies, on_error=ALLOW).judge(MESSAGE)
        assert (judged.verdict.kind, judged.verdict.reason) == (said.kind, "why")


# What a failing policy finds already changed


MASKS = Quick(lambda _: Verdict.rewrite(msg_body=text("***"), reason="masked"), "mask")
CLEARS = Async(lambda _: Verdict.rewrite(custom_data="{}"), "clear")
NO_MESSAGE = [[], [{}], [7], [*text("x"), {"MsgType": "TIMTextElem"}], text(object()), text("\ud800")]  # type: ignore[arg-type]


def check_masked(judged: Judgement, custom_data: str | None = None) -> None:
    """It passes as the mask has left it, and the chain says so."""
    assert (judged.verdict.kind, judged.verdict.msg_body) == ("rewrite", text("***"))
    assert (judged.verdict.custom_data, judged.message.custom_data) == (custom_data, custom_data or "")
    assert judged.message.text == "***"


@KINDS
async def test_what_is_allowed_after_an_error_is_what_was_rewritten_before(run: Run, kind: type) -> None:
    """A word that is masked stays so, and the record tells of both."""
    judged = await run(MASKS, kind(raising(ValueError("x")), "bad"), on_error=ALLOW).judge(MESSAGE)
    check_masked(judged)
    assert judged.verdict.policy == CHAIN
    assert judged.verdict.reason == "policy bad raised; mask had rewritten it: masked"
    judged = await run(MASKS, CLEARS, kind(raising(ValueError("x"))), on_error=ALLOW).judge(MESSAGE)
    check_masked(judged, custom_data="{}")


async def test_what_is_allowed_at_the_deadline_is_what_was_rewritten_before(run: Run, gate: asyncio.Event) -> None:
    """And the late verdict is told all the same."""
    judged = await run(MASKS, hanging(gate), on_error=ALLOW).judge(MESSAGE)
    check_masked(judged)
    assert judged.verdict.policy == CHAIN
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


@pytest.mark.parametrize("before", [0, DEADLINE_S + 0.1])
async def test_who_is_ended_at_the_deadline_gets_the_configured_verdict(run: Run, before: float) -> None:
    """As it is late, whichever clock rings first; and there is no late verdict."""

    async def end() -> None:
        await asyncio.sleep(before)
        raise Late

    with capture_logs() as lines:
        judged = await run(MASKS, Async(lambda _: end()), on_error=ALLOW).judge(MESSAGE)
        await wait_until_async(_alone, "its end")
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


# The end of a request, and of the chain


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
        await wait_until_async(_alone, "the policy to be given up")
    assert (cleaned, lines) == ([1], [])


async def test_closing_gives_up_what_is_late(run: Run, gate: asyncio.Event) -> None:
    """Nobody is told of it."""
    chain = run(hanging(gate))
    await chain.judge(MESSAGE)
    chain.close()
    await wait_until_async(_alone, "the policy to be given up")
    gate.set()
    await asyncio.sleep(0.05)
    assert run.late == []
