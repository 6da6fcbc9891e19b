"""The chain of policies under one deadline: there is always an answer in time.

Policies are asked in turn, each about the message as the previous ones left it. The first that forbids or discards
ends the chain. A policy that raises ends it with the ``on_error`` verdict, and so does the deadline; a verdict after
the deadline goes to ``late``, for the record. If ``on_error`` allows, the message passes as it was left by then.

The policies that are asked here are ours, or declare that they are quick and safe (``inline``). All others run
elsewhere (``policy_pool.py``): whatever they do, this event loop keeps running.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pushlane.callback.failures import log_failure
from pushlane.callback.tencent.answer import answer
from pushlane.callback.verdict import Verdict, read, shortened
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.policy import Policy

LATE_S: Final = 60.0
"""How long a late policy is waited for; after that, its verdict is given up."""
MAX_LATE: Final = 1000
"""How many questions may be open in a process before late ones are given up at once."""
CHAIN: Final = "chain"
"""The name under which decisions are recorded that no policy made: the message passes, or cannot be read."""
ON_ERROR: Final = "on_error"
"""The name under which those are recorded that the setting made, because a policy failed or was late."""

_PASSES: Final = Verdict("allow", policy=CHAIN)
_TOO_LATE: Final = "the policies did not answer in time"


class Late(Exception):
    """A policy did not answer in time, and never will."""


class BadRewrite(ValueError):
    """A policy's rewrite could not be passed on, for this reason."""


class Elsewhere(ABC):
    """A policy that does not run in this process."""

    name: str

    @abstractmethod
    async def ask(self, message: ChatMessage, until: float) -> object:
        """The policy's answer, needed by ``until`` on the monotonic clock. Raises Late, BadRewrite or others."""


class Judgement(NamedTuple):
    """The chain's verdict, and the message as it leaves it."""

    verdict: Verdict
    message: ChatMessage


class Chain:
    """Policies with a deadline. Belongs to one event loop.

    Args:
        policies: Asked in this order.
        deadline_s: Seconds for all of them together.
        on_error: The verdict when one of them raises or the time is over: allow or forbid.
        late: Called with a judgement that was made after the answer.
    """

    def __init__(
        self,
        policies: Sequence[Policy | Elsewhere],
        deadline_s: float,
        on_error: Verdict,
        late: Callable[[ChatMessage, Judgement], None],
    ) -> None:
        self._policies = policies
        self._all_inline = not any(isinstance(policy, Elsewhere) for policy in policies)
        self._deadline_s = deadline_s
        self._on_error = on_error
        self._late = late
        self._asked: set[asyncio.Task[Judgement]] = set()

    async def judge(self, message: ChatMessage, *, within_s: float | None = None) -> Judgement:
        """The judgement of a message, within the deadline whatever the policies do.

        ``within_s`` is what is left of the deadline, if that is less. Cancelling it gives up on the policies.
        """
        if self._all_inline:
            return await self._ask_all(message)
        deadline_s = self._deadline_s if within_s is None else max(min(self._deadline_s, within_s), 0)
        steps = [Judgement(_PASSES, message)]
        asked = asyncio.create_task(self._ask_all(message, steps, time.monotonic() + deadline_s))
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        try:
            done, _ = await asyncio.wait([asked], timeout=deadline_s)
        except asyncio.CancelledError:
            self._give_up(asked)
            raise
        if not done:
            self._await_late(message, asked)
            return self._failed(steps[-1], _TOO_LATE)
        if asked.cancelled():  # by a policy, even one that has answered, or by close()
            return steps[-1] if _is_final(steps[-1]) else self._failed(steps[-1], "the policies were cancelled")
        if isinstance(asked.exception(), Late):
            return self._failed(steps[-1], _TOO_LATE)
        return asked.result()

    def close(self) -> None:
        """Gives up on policies that have not answered."""
        for asked in list(self._asked):
            self._give_up(asked)

    async def _ask_all(self, message: ChatMessage, steps: list[Judgement] | None = None, until: float = 0) -> Judgement:
        """The judgement. It and the state after each rewrite are added to ``steps``."""
        left = Judgement(_PASSES, message)
        for policy in self._policies:
            try:
                if isinstance(policy, Elsewhere):
                    given = await policy.ask(left.message, until)
                else:
                    given = policy.judge(left.message)
                verdict = read(given, policy.name)
                if verdict is None or verdict.kind == "allow":
                    continue
                left = self._after(verdict, left, message)
            except (KeyboardInterrupt, Late):
                raise
            except BadRewrite as error:
                left = self._left_out(left, policy.name, error)
            except BaseException as error:  # gevent's Timeout is not an Exception
                if isinstance(error, asyncio.CancelledError) and self._is_given_up(policy):
                    raise
                log_failure("policy.failed", error, policy=policy.name, key=message.key)
                return self._failed(left, f"policy {policy.name} raised")
            if steps is not None:
                steps.append(left)
            if _is_final(left):
                return left
        return left

    def _after(self, verdict: Verdict, left: Judgement, message: ChatMessage) -> Judgement:
        """Applies a verdict to what the policies left so far. Raises BadRewrite for what cannot be sent."""
        if verdict.kind != "rewrite":
            return Judgement(verdict, left.message)
        current = left.message.rewritten(verdict)
        whole = replace(
            verdict,
            msg_body=None if current.msg_body is message.msg_body else current.msg_body,
            custom_data=None if current.custom_data == message.custom_data else current.custom_data,
        )
        try:
            answer(whole, message.command)
        except ValueError as error:
            raise BadRewrite(str(error)) from None
        return Judgement(whole, current)

    def _left_out(self, left: Judgement, policy: str, problem: BadRewrite) -> Judgement:
        """Fails a policy whose rewrite cannot be sent.

        Unless ``on_error`` forbids, that does not end the chain: a later policy may still forbid the message.
        """
        logger().error("policy.bad_rewrite", policy=policy, problem=str(problem))
        return self._failed(left, "its rewrite is not a valid message", policy)

    def _await_late(self, message: ChatMessage, asked: asyncio.Task[Judgement]) -> None:
        if len(self._asked) > MAX_LATE:
            self._give_up(asked)
            return
        given_up = asyncio.get_running_loop().call_later(LATE_S, self._give_up, asked)

        def note(task: asyncio.Task[Judgement]) -> None:
            given_up.cancel()
            if not task.cancelled() and task.exception() is None:
                self._late(message, task.result())

        asked.add_done_callback(note)

    def _give_up(self, asked: asyncio.Task[Judgement]) -> None:
        self._asked.discard(asked)
        asked.cancel()

    def _is_given_up(self, policy: Policy | Elsewhere) -> bool:
        """Whether we cancelled this task ourselves: a policy may do so, too, or raise another task's cancellation."""
        return isinstance(policy, Elsewhere) and asyncio.current_task() not in self._asked

    def _failed(self, left: Judgement, reason: str, policy: str = ON_ERROR) -> Judgement:
        """The ``on_error`` verdict. If it allows, the message passes as left so far: masked words stay masked."""
        if self._on_error.kind == "allow" and left.verdict.kind == "rewrite":
            before = left.verdict
            reason = shortened(f"{reason}; {before.policy} had rewritten it: {before.reason}")
            return left._replace(verdict=replace(before, reason=reason, policy=policy))
        return left._replace(verdict=replace(self._on_error, reason=reason, policy=policy))


def _is_final(judgement: Judgement) -> bool:
    return judgement.verdict.kind in ("forbid", "discard")
