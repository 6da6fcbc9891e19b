"""The program of a process for other people's code: whatever that does to its interpreter only affects itself.

``policy_process.py`` starts it with one end of a socket pair. Each side writes lines of JSON::

    {"path": […], "policies": […], "routing": …}            ▶   what to load, and where to look for it
    {"policies": [[name, inline], …]}                        ◀   it is loaded
    {"setting": …, "problem": …}                             ◀   or it cannot be
    [number, which, message]                                 ▶   a question, to the policy ``which`` or to the routing
    [number, "waits"] [number, "goes"]                       ◀   it awaits something; it goes on
    [number, "said", …] [number, "raised", kind, frames] [number, "invalid", field, problem]   ◀   its result
    [number, "too_large", bytes] [number, "no_json"]         ◀   its result is a rewrite that no line can hold
    [number]                                                 ▶   the result is no longer needed
    []                                                       ▶◀  is it still there? yes

It ends with the process that started it.
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.failures import Failure
from pushlane.callback.moderation.user_code import is_inline, load_policy, load_routing
from pushlane.callback.verdict import Verdict, read
from pushlane.errors import InvalidMessage, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence

ROUTING: Final = -1
"""Used instead of a policy's index in the chain."""
MAX_QUESTION_BYTES: Final = 16 * 1024 * 1024
"""A question is a message of at most 256 KiB, and JSON may need six characters for each of its own."""
MAX_ANSWER_BYTES: Final = 256 * 1024
"""No rewrite is larger than a message; reading one of this size takes the event loop 2 ms."""
_PR_SET_PDEATHSIG: Final = 1


class _UserCode:
    """The loaded policies and routing, and the questions that await something."""

    def __init__(self, paths: Sequence[str], routing: str | None, send: Callable[[bytes], None]) -> None:
        self._policies = [load_policy(path) for path in paths]
        self._route = load_routing(routing) if routing is not None else None
        self._send = send
        self._waiting: dict[int, asyncio.Task[None]] = {}

    def described(self) -> object:
        """Name and ``inline`` of each policy."""
        return {"policies": [[policy.name, is_inline(policy)] for policy in self._policies]}

    def handle(self, asked: Sequence[Any]) -> None:
        """Begins a question, cancels one, or answers a ping."""
        match asked:
            case [number, which, message]:
                self._begin(number, which, ChatMessage(*message))
            case [number]:
                if task := self._waiting.get(number):
                    task.cancel()
            case _:
                self._send(_line())

    def _begin(self, number: int, which: int, message: ChatMessage) -> None:
        try:
            if which == ROUTING:
                self._send(_line(number, "said", self._routed(message)))
                return
            policy = self._policies[which]
            answer = policy.judge(message)
            if not inspect.isawaitable(answer):
                self._send(_verdict(number, answer, policy.name))
                return
        except BaseException as error:  # noqa: BLE001 # other people's code may raise anything
            self._send(_raised(number, error))
            return
        loop = asyncio.get_running_loop()
        self._waiting[number] = task = loop.create_task(self._finish(number, answer, policy.name))
        task.add_done_callback(lambda _: self._waiting.pop(number))
        loop.call_soon(self._report_waiting, number, task)  # after its first step

    async def _finish(self, number: int, answer: Awaitable[object], name: str) -> None:
        try:
            self._send(_verdict(number, await _Reported(answer, lambda state: self._send(_line(number, state))), name))
        except BaseException as error:  # noqa: BLE001 # the same
            self._send(_raised(number, error))

    def _report_waiting(self, number: int, task: asyncio.Task[None]) -> None:
        if not task.done():
            self._send(_line(number, "waits"))

    def _routed(self, message: ChatMessage) -> object:
        from pushlane.callback.routing import target_of  # noqa: PLC0415 # rarely used, and it costs 6 MB

        assert self._route is not None  # noqa: S101 # otherwise it is not asked
        return target_of(self._route(message))


class _Reported:
    """Awaits something. Before each step but the first, it reports that it goes on, and afterwards that it waits."""

    def __init__(self, awaited: Awaitable[object], report: Callable[[str], None]) -> None:
        self._steps = awaited.__await__()
        self._report = report

    def __await__(self) -> Generator[Any, Any, object]:
        try:
            waits_for = next(self._steps)
            while True:
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 # passed on to what is awaited
                    self._report("goes")
                    waits_for = self._steps.throw(error)
                else:
                    self._report("goes")
                    waits_for = next(self._steps)
                self._report("waits")
        except StopIteration as end:
            return end.value


class _TooLarge(ValueError):
    """A line has this many bytes, more than it may."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"has {size} bytes, more than {MAX_ANSWER_BYTES}")


def _line(*parts: object) -> bytes:
    """A line of JSON. Raises ValueError, TypeError or RecursionError if it is not JSON, or too large (_TooLarge)."""
    # Not in ASCII: a stream of 128 KiB in Cyrillic would have three times as many bytes.
    line = json.dumps(parts, allow_nan=False, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"
    if len(line) > MAX_ANSWER_BYTES:
        raise _TooLarge(len(line))
    return line


def _verdict(number: int, answer: object, policy: str) -> bytes:
    verdict = read(answer, policy)
    if verdict is None:
        return _line(number, "said", None)
    given = {name: getattr(verdict, name) for name in Verdict.__slots__}
    try:
        return _line(number, "said", given)
    except _TooLarge as error:  # only a rewrite can be: all else in a verdict is bounded
        return _line(number, "too_large", error.size)
    except (ValueError, TypeError, RecursionError):
        return _line(number, "no_json")


def _raised(number: int, error: BaseException) -> bytes:
    if isinstance(error, InvalidMessage):
        return _line(number, "invalid", error.field, error.problem)
    failure = Failure.of(error)
    return _line(number, "raised", failure.kind, failure.frames)


async def _serve(end: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=end, limit=MAX_QUESTION_BYTES)
    setup: Mapping[str, Any] = json.loads(await reader.readline())
    sys.path[:] = setup["path"]
    try:
        code = _UserCode(setup["policies"], setup["routing"], writer.write)
    except SettingsError as error:
        writer.write(json.dumps({"setting": error.name, "problem": error.problem}).encode() + b"\n")
        return
    writer.write(json.dumps(code.described()).encode() + b"\n")
    loop = asyncio.get_running_loop()
    while line := await reader.readline():
        loop.call_soon(code.handle, json.loads(line))  # not in this task, which other people's code might cancel


def main(fileno: int) -> None:
    """Serves until the other end is closed, then ends at once, whatever is still running."""
    if sys.platform == "linux":  # even in the middle of an endless loop
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes; questions in flight are still answered
        signal.signal(number, lambda *_: None)
    try:
        asyncio.run(_serve(socket.socket(fileno=fileno)))
    finally:
        os._exit(0)
