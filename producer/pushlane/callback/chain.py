"""The chain of policies under one deadline: somebody always gets an answer in time.

Policies are asked in turn, each about the message as the ones before it left it. The first that forbids or discards
ends the chain. A policy that raises ends it with the ``on_error`` verdict, and so does the deadline; a verdict that
comes after it is told to ``late``, for the record. What ``on_error`` allows is the message as it was left by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pushlane.callback.answer import answer
from pushlane.callback.failures import log_failure
from pushlane.callback.verdict import Verdict
from pushlane.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.verdict import Policy

MAX_THREADS: Final = 64
"""Plain policies that may run at once; those that hang hold theirs, and the others wait in vain for one."""
LATE_S: Final = 60.0
"""So long a policy may be late; then nobody waits for its verdict any more."""
MAX_LATE: Final = 1000
"""Questions that may be open in a process before the late ones are given up at once."""
MAX_TEXT_CHARS: Final = 512
CHAIN: Final = "chain"
"""Who decided when no policy did."""

_MAX_CODE: Final = 2**31 - 1
_PASSES: Final = Verdict("allow", policy=CHAIN)


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
        late: Told of a judgement that came after its answer.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        deadline_s: float,
        on_error: Verdict,
        late: Callable[[ChatMessage, Judgement], None],
    ) -> None:
        self._policies = [(policy, _runs_inline(policy)) for policy in policies]
        self._all_inline = all(inline for _, inline in self._policies)
        self._deadline_s = deadline_s
        self._on_error = on_error
        self._late = late
        self._threads = asyncio.Semaphore(MAX_THREADS)
        self._asked: set[asyncio.Task[Judgement]] = set()
        self._without_thread: set[asyncio.Task[object]] = set()

    async def judge(self, message: ChatMessage, *, within_s: float | None = None) -> Judgement:
        """The judgement of a message, within the deadline whatever the policies do.

        ``within_s`` is what is left of it, if less. A judgement that is cancelled is given up; a policy in a thread
        runs to its end all the same, and holds its thread.
        """
        if self._all_inline:
            return await self._ask_all(message)
        steps = [Judgement(_PASSES, message)]
        asked = asyncio.create_task(self._ask_all(message, steps))
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        try:
            deadline_s = self._deadline_s if within_s is None else max(min(self._deadline_s, within_s), 0)
            done, _ = await asyncio.wait([asked], timeout=deadline_s)
        except asyncio.CancelledError:
            self._give_up(asked)
            raise
        if not done:
            self._await_late(message, asked)
            return self._failed(steps[-1], "the policies did not answer in time")
        if asked.cancelled():  # by a policy, also one that had its say, or by close()
            return steps[-1] if _is_final(steps[-1]) else self._failed(steps[-1], "the policies were cancelled")
        return asked.result()

    def close(self) -> None:
        """Gives up on what has not answered."""
        for asked in list(self._asked):
            self._give_up(asked)

    async def _ask_all(self, message: ChatMessage, steps: list[Judgement] | None = None) -> Judgement:
        """The judgement; it and what each rewrite on the way to it leaves is told to ``steps``."""
        left = Judgement(_PASSES, message)
        for policy, inline in self._policies:
            try:
                if inline:
                    said = _read(policy.judge(left.message), policy.name)
                else:
                    said = await self._ask(policy, left.message)
                if said is None or said.kind == "allow":
                    continue
                left = self._after(said, left, message)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # gevent's Timeout is no Exception
                if isinstance(error, asyncio.CancelledError) and not inline and self._is_given_up():
                    raise
                log_failure("policy.failed", error, policy=policy.name, key=message.key)
                return self._failed(left, f"policy {policy.name} raised")
            if steps is not None:
                steps.append(left)
            if _is_final(left):
                return left
        return left

    def _after(self, said: Verdict, left: Judgement, message: ChatMessage) -> Judgement:
        """What a verdict makes of what was left of the message; a rewrite that can not be sent fails its policy.

        That does not end the chain, as far as it is allowed: a policy behind it may forbid the message.
        """
        if said.kind != "rewrite":
            return Judgement(said, left.message)
        current = left.message.rewritten(said)
        whole = replace(
            said,
            msg_body=None if current.msg_body is message.msg_body else current.msg_body,
            custom_data=None if current.custom_data == message.custom_data else current.custom_data,
        )
        try:
            answer(whole, message.command)
        except ValueError as error:
            logger().error("policy.bad_rewrite", policy=said.policy, problem=str(error))
            return self._failed(left, "its rewrite is no message", said.policy)
        return Judgement(whole, current)

    async def _ask(self, policy: Policy, message: ChatMessage) -> Verdict | None:
        said: object
        if inspect.iscoroutinefunction(policy.judge):
            said = policy.judge(message)
        else:
            said = await self._in_thread(policy, message)
        return _read(await said if inspect.isawaitable(said) else said, policy.name)

    async def _in_thread(self, policy: Policy, message: ChatMessage) -> object:
        """Runs a plain policy in a thread of its own, which a process that ends does not wait for."""
        await self._thread()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[object, BaseException | None]] = loop.create_future()

        def settle(said: object, error: BaseException | None) -> None:
            self._threads.release()  # the thread's end, and not that of whoever waits for it
            if not ended.done():
                ended.set_result((said, error))  # no future takes a StopIteration as its exception

        def run() -> None:
            said: object = None
            error: BaseException | None = None
            try:
                said = policy.judge(message)
            except BaseException as raised:  # noqa: BLE001 # it is raised again where it is awaited
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, said, error)

        try:
            threading.Thread(target=run, name=f"pushlane-policy-{policy.name}", daemon=True).start()
        except BaseException:
            self._threads.release()
            raise
        said, error = await ended
        if error is not None:
            raise error
        return said

    async def _thread(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 # a coroutine runs in one
        self._without_thread.add(task)
        try:
            await self._threads.acquire()
        finally:
            self._without_thread.discard(task)

    def _await_late(self, message: ChatMessage, asked: asyncio.Task[Judgement]) -> None:
        # What has no thread by now would only delay those that are still in time.
        if asked in self._without_thread or len(self._asked) > MAX_LATE:
            self._give_up(asked)
            return
        given_up = asyncio.get_running_loop().call_later(LATE_S, self._give_up, asked)

        def tell(task: asyncio.Task[Judgement]) -> None:
            given_up.cancel()
            if not task.cancelled():
                self._late(message, task.result())

        asked.add_done_callback(tell)

    def _give_up(self, asked: asyncio.Task[Judgement]) -> None:
        self._asked.discard(asked)
        asked.cancel()

    def _is_given_up(self) -> bool:
        """Whether it is we who have cancelled this task: a policy may do so too, or raise another's cancellation."""
        return asyncio.current_task() not in self._asked

    def _failed(self, left: Judgement, reason: str, policy: str = CHAIN) -> Judgement:
        """The configured verdict. What it allows is what the policies have left so far: a masked word stays masked."""
        if self._on_error.kind == "allow" and left.verdict.kind == "rewrite":
            before = left.verdict
            reason = _text(f"{reason}; {before.policy} had rewritten it: {before.reason}")
            return left._replace(verdict=replace(before, reason=reason, policy=policy))
        return left._replace(verdict=replace(self._on_error, reason=reason, policy=policy))


def _runs_inline(policy: Policy) -> bool:
    """Whether it is quick enough for the event loop: the built-in ones say so."""
    return getattr(policy, "inline", False)


def _is_final(judgement: Judgement) -> bool:
    return judgement.verdict.kind in ("forbid", "discard")


def _read(said: object, policy: str) -> Verdict | None:
    """A policy's verdict without what no record could hold. Raises TypeError for what is none.

    Policies are other people's code: what they forbid stays forbidden, whatever stands beside it.
    """
    if said is None:
        return None
    if not isinstance(said, Verdict):
        raise TypeError(f"must answer a Verdict or None, not {type(said).__name__}")
    given: Any = said  # for its annotations hold nobody
    reason = _text(given.reason)
    if given.kind == "rewrite":
        body = None if given.msg_body is None else list(given.msg_body)
        return Verdict("rewrite", msg_body=body, custom_data=given.custom_data, reason=reason, policy=policy)
    if given.kind == "forbid":
        code = given.code if type(given.code) is int and 0 <= given.code <= _MAX_CODE else None
        return Verdict("forbid", code, _text(given.text), reason=reason, policy=policy)
    if given.kind in ("allow", "discard"):
        return Verdict(given.kind, reason=reason, policy=policy)
    raise TypeError("must answer a Verdict of a known kind")


def _text(given: object) -> str:
    return given[:MAX_TEXT_CHARS].encode(errors="replace").decode() if isinstance(given, str) else ""
