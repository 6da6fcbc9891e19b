"""A few processes for custom policies and routing: they can hang, spin or end, and the answer is still in time.

::

    waiting ──▶ a process that is free ──▶ answered
       ▲               │
       └── once more ──┴─ it hangs with others in it, or ends

A process gets the next question when it has answered the previous one, or that one awaits something. When it hangs (it
does not answer pings), the questions that await something in it are asked again elsewhere. It is killed once none of
its questions can be answered in time, and another one replaces it.

A plain policy that is too late ends with its process. One that awaits something may still answer while its late answer
is waited for.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self

from pushlane.callback.failures import Failure
from pushlane.callback.moderation.chain import BadRewrite, Elsewhere, Late
from pushlane.callback.moderation.policy_process import PolicyProcess, Question
from pushlane.callback.moderation.policy_program import ROUTING
from pushlane.callback.moderation.user_code import load_policy
from pushlane.callback.routing import Target
from pushlane.callback.tencent.answer import too_large
from pushlane.callback.verdict import Verdict
from pushlane.errors import InvalidMessage
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.policy import Policy

    _Described = Sequence[tuple[str, bool]]
    _Loaded = asyncio.Future[_Described]

PROCESSES: Final = 4
"""How many messages can hang at once; each process takes about 30 MB and what its policies need."""
FIRST: Final = 2
"""How many must be running before the first question: one may hang at once."""
WATCH_S: Final = 0.05
REST_S: Final = 0.4
"""Until another one is started: the questions that the last one delayed are being answered, and need the cores."""
AGAIN_S: Final = 1.0
"""Between two starts of a process and its successor: one that ends right after its start must not keep a core busy."""


class PolicyPool:
    """Runs policies and a routing function, given by their Python paths. Belongs to one event loop; an async context.

    Raises:
        SettingsError: On entering, if something cannot be loaded.
    """

    def __init__(self, policies: Sequence[str], routing: str | None, size: int) -> None:
        self._setup = {"path": sys.path, "policies": list(policies), "routing": routing}
        self._size = size if policies or routing else 0
        self._policies: _Described = ()
        self._numbers = count()
        self._waiting: deque[Question] = deque()
        self._processes: list[PolicyProcess] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._watching: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        try:
            loop = asyncio.get_running_loop()
            first: list[_Loaded] = [loop.create_future() for _ in range(min(FIRST, self._size))]
            self._keepers = [asyncio.create_task(self._keep(one)) for one in first]
            await asyncio.gather(*first, return_exceptions=True)
            for loaded in first:
                self._policies = loaded.result()  # all processes describe them alike
        except BaseException:
            await self.__aexit__()
            raise
        self._keepers += [asyncio.create_task(self._keep(None)) for _ in range(self._size - len(first))]
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._watching is not None:
            self._watching.cancel()

    def chain(self, policies: Sequence[Policy | str]) -> Sequence[Policy | Elsewhere]:
        """The same policies, with each path replaced by a policy to ask. Raises SettingsError."""
        own = iter(enumerate(self._policies))
        return [self._policy(one, *next(own)) if isinstance(one, str) else one for one in policies]

    async def ask(self, which: int, message: ChatMessage, until: float) -> Any:  # noqa: ANN401 # any JSON
        """The answer of the policy or the routing. Raises Late, Failure, BadRewrite and InvalidMessage."""
        question = Question(next(self._numbers), which, message, until, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        self._dispatch()
        self._watch_on()
        try:
            return await question.answer
        finally:
            for process in self._processes:
                process.forget(question)

    async def route(self, message: ChatMessage, until: float) -> Target | None:
        """Where the routing sends it. Raises like ``ask``, and TimeoutError."""
        async with asyncio.timeout(until - time.monotonic()):
            answer = await self.ask(ROUTING, message, until)
        return None if answer is None else Target(*answer)

    def _policy(self, path: str, which: int, described: tuple[str, bool]) -> Policy | Elsewhere:
        name, inline = described
        return load_policy(path) if inline else _PooledPolicy(self, which, name)

    async def _keep(self, loaded: _Loaded | None) -> None:
        """Keeps one process alive. If loading fails, it tries again, unless ``loaded`` gets the error."""
        while True:
            begun = time.monotonic()
            try:
                await self._run(loaded)
            except Exception as error:  # noqa: BLE001 # whatever it is, another process must be started
                if loaded is not None and not loaded.done():
                    loaded.set_exception(error)
                    return
                logger().error("policy.process_failed", problem=str(error) or type(error).__name__)
            await asyncio.sleep(max(begun + AGAIN_S - time.monotonic(), REST_S))

    async def _run(self, loaded: _Loaded | None) -> None:
        process = await PolicyProcess.start()
        try:
            described = await process.load(self._setup)
            if loaded is not None and not loaded.done():
                loaded.set_result(described)
            self._processes.append(process)
            self._dispatch()
            async for line in process.lines():
                self._hear(process, *line)
        finally:
            if process in self._processes:
                self._processes.remove(process)
            self._ended(process, await process.aclose())

    def _hear(self, process: PolicyProcess, number: int = -1, kind: str = "", *result: Any) -> None:  # noqa: ANN401 # any JSON
        if kind and (question := process.hear(number, kind)):
            _settle(question, kind, *result)
        self._dispatch()

    def _dispatch(self) -> None:
        now = time.monotonic()
        while self._waiting:
            free = [one for one in self._processes if one.asked is None and not one.is_hung(now)]
            if not free:
                return
            question = self._waiting.popleft()
            process = min(free, key=lambda one: len(one.held))
            if not question.answer.done() and question.number not in process.held:
                process.ask(question)

    def _watch_on(self) -> None:
        if self._watching is None:
            self._watching = asyncio.get_running_loop().call_later(WATCH_S, self._watch)

    def _watch(self) -> None:
        self._watching, now = None, time.monotonic()
        for process in list(self._processes):
            if not process.is_hung(now):
                process.ping(now)
            elif not any(question.is_open(now) for question in process.held.values()):
                self._kill(process)
            else:
                for question in process.held.values():
                    if question is not process.culprit:
                        self._ask_again(question, now)
        while self._waiting and self._waiting[0].until <= now:
            _settle(self._waiting.popleft(), "late")
        self._dispatch()
        if self._waiting or any(process.held for process in self._processes):
            self._watch_on()

    def _kill(self, process: PolicyProcess) -> None:
        names = sorted({self._name(question.which) for question in process.held.values()})
        logger().error("policy.hung", policies=", ".join(names))
        self._processes.remove(process)
        process.kill()

    def _name(self, which: int) -> str:
        return "routing" if which == ROUTING else self._policies[which][0]

    def _ask_again(self, question: Question, now: float) -> bool:
        if question.again or not question.is_open(now):
            return False
        question.again = True
        self._waiting.appendleft(question)
        return True

    def _ended(self, process: PolicyProcess, code: int) -> None:
        """Asks its open questions again, except for the one that it was running."""
        now = time.monotonic()
        for question in process.held.values():
            if any(question.number in one.held for one in self._processes) or question in self._waiting:
                continue
            if question is process.culprit or not self._ask_again(question, now):
                _settle(question, "late" if question.until <= now else "raised", "ProcessEnded", f"exit code {code}")
        self._dispatch()


class _PooledPolicy(Elsewhere):
    """A custom policy, which runs in the pool."""

    def __init__(self, pool: PolicyPool, which: int, name: str) -> None:
        self.name = name
        self._pool = pool
        self._which = which

    async def ask(self, message: ChatMessage, until: float) -> Verdict | None:
        """Its verdict."""
        answer = await self._pool.ask(self._which, message, until)
        return None if answer is None else Verdict(**answer)


def _settle(question: Question, kind: str, *result: Any) -> None:  # noqa: ANN401 # any JSON
    answer = question.answer
    if answer.done():
        return
    match kind:
        case "said":
            answer.set_result(result[0])
        case "late":
            answer.set_exception(Late())
        case "too_large":
            answer.set_exception(BadRewrite(too_large(*result)))
        case "no_json":
            answer.set_exception(BadRewrite("the rewrite is not JSON"))
        case "invalid":
            answer.set_exception(InvalidMessage(*result))
        case _:
            answer.set_exception(Failure(*result))
