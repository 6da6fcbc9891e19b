"""The chain of policies under one deadline: somebody always gets an answer in time.

Policies are asked in turn, each about the message as the ones before it left it. The first that forbids or discards
ends the chain. A policy that raises ends it with the ``on_error`` verdict, and so does the deadline; a verdict that
comes after it is told to ``late``, for the record.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pushlane.callback.verdict import Verdict
from pushlane.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.verdict import Policy

MAX_THREADS: Final = 64
"""Plain policies that may run at once; those that hang hold theirs, and the others wait in vain for one."""
CHAIN: Final = "chain"
"""Who decided when no policy did."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The chain's verdict, and the message as it leaves it."""

    verdict: Verdict
    message: ChatMessage


class Chain:
    """Policies with a deadline. Belongs to one event loop.

    Args:
        policies: Asked in this order.
        deadline_s: Seconds for all of them together.
        on_error: The verdict when one of them raises or the time is over.
        late: Told of a judgement that came after its answer.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        deadline_s: float,
        on_error: Verdict,
        late: Callable[[ChatMessage, Judgement], None],
    ) -> None:
        self._policies = policies
        self._deadline_s = deadline_s
        self._on_error = on_error
        self._late = late
        self._threads = asyncio.Semaphore(MAX_THREADS)
        self._asked: set[asyncio.Task[Judgement]] = set()

    async def judge(self, message: ChatMessage) -> Judgement:
        """The judgement of a message, within the deadline whatever the policies do."""
        if all(_runs_inline(policy) for policy in self._policies):
            return await self._ask_all(message)
        asked = asyncio.create_task(self._ask_all(message))
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        done, _ = await asyncio.wait([asked], timeout=self._deadline_s)
        if done:
            return asked.result()
        asked.add_done_callback(lambda task: self._tell_late(message, task))
        return self._failed(message, "the policies did not answer in time")

    def close(self) -> None:
        """Gives up on what has not answered."""
        for task in self._asked:
            task.cancel()

    async def _ask_all(self, message: ChatMessage) -> Judgement:
        verdict, current = Verdict("allow", policy=CHAIN), message
        for policy in self._policies:
            try:
                said = await self._ask(policy, current)
            except Exception:  # noqa: BLE001 # whatever somebody's policy raises
                logger().exception("policy.failed", policy=policy.name, key=message.key)
                return self._failed(message, f"policy {policy.name} raised")
            if said is None or said.kind == "allow":
                continue
            verdict = replace(said, policy=policy.name)
            if verdict.kind != "rewrite":
                return Judgement(verdict, current)
            current = current.rewritten(verdict)
        if verdict.kind == "rewrite":
            verdict = replace(
                verdict,
                msg_body=None if current.msg_body is message.msg_body else current.msg_body,
                custom_data=None if current.custom_data == message.custom_data else current.custom_data,
            )
        return Judgement(verdict, current)

    async def _ask(self, policy: Policy, message: ChatMessage) -> Verdict | None:
        said: object
        if _runs_inline(policy) or inspect.iscoroutinefunction(policy.judge):
            said = policy.judge(message)
        else:
            said = await self._in_thread(policy, message)
        said = await said if inspect.isawaitable(said) else said
        if said is not None and not isinstance(said, Verdict):
            raise TypeError(f"must answer a Verdict or None, not {type(said).__name__}")
        return said

    async def _in_thread(self, policy: Policy, message: ChatMessage) -> object:
        """Runs a plain policy in a thread of its own, which a process that ends does not wait for."""
        async with self._threads:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[object] = loop.create_future()

            def settle(said: object, error: BaseException | None) -> None:
                if answer.done():
                    return
                if error is None:
                    answer.set_result(said)
                else:
                    answer.set_exception(error)

            def run() -> None:
                said: object = None
                error: BaseException | None = None
                try:
                    said = policy.judge(message)
                except Exception as raised:  # noqa: BLE001 # it is raised again where it is awaited
                    error = raised
                loop.call_soon_threadsafe(settle, said, error)

            threading.Thread(target=run, name=f"pushlane-policy-{policy.name}", daemon=True).start()
            return await answer

    def _failed(self, message: ChatMessage, reason: str) -> Judgement:
        return Judgement(replace(self._on_error, reason=reason, policy=CHAIN), message)

    def _tell_late(self, message: ChatMessage, task: asyncio.Task[Judgement]) -> None:
        if not task.cancelled():
            self._late(message, task.result())


def _runs_inline(policy: Policy) -> bool:
    """Whether it is quick enough for the event loop: the built-in ones say so."""
    return getattr(policy, "inline", False)
