"""Policies of the tests' own, and chains of them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.moderation.chain import Chain, Elsewhere, Judgement
from pushlane.callback.policy import Policy
from pushlane.callback.verdict import Verdict

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


async def no_question_left() -> bool:
    """Whether no chain waits for a policy any more."""
    return not [task for task in asyncio.all_tasks() if "_ask_all" in repr(task)]


def text(new: str) -> list[dict[str, Any]]:
    """A body of this text."""
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": new}}]


def raising(error: BaseException) -> Judge:
    """A policy that raises."""

    def judge(_: ChatMessage) -> None:
        raise error

    return judge


def hanging(gate: asyncio.Event) -> Async:
    """Hangs, then forbids."""

    async def hang() -> Verdict:
        await gate.wait()
        return Verdict.forbid(reason="late")

    return Async(lambda _: hang())


MASKS = Quick(lambda _: Verdict.rewrite(msg_body=text("***"), reason="masked"), "mask")


def check_masked(judged: Judgement, custom_data: str | None = None) -> None:
    """It passes as the mask has left it, and the chain says so."""
    assert (judged.verdict.kind, judged.verdict.msg_body) == ("rewrite", text("***"))
    assert (judged.verdict.custom_data, judged.message.custom_data) == (custom_data, custom_data or "")
    assert judged.message.text == "***"
