"""What a chain makes of its policies' verdicts: they are asked in order, and the first that forbids ends it."""

import pytest
from support.policies import KINDS, MESSAGE, Async, Judge, Quick, Run, text

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.decisions.decision import Decision
from pushlane.callback.moderation.chain import CHAIN, Judgement
from pushlane.callback.verdict import Verdict


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


async def test_a_rewrite_may_be_any_sequence(run: Run) -> None:
    """Also one that can be read only once."""
    judged = await run(Quick(lambda _: Verdict.rewrite(msg_body=iter(text("new"))))).judge(MESSAGE)  # type: ignore[arg-type] # no sequence
    assert judged.verdict.msg_body == text("new")
    assert judged.message.text == "new"
