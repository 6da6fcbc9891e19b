"""One process for other people's code, as seen from the process that started it; see ``policy_program.py``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from pushlane.callback.moderation.policy_program import MAX_ANSWER_BYTES
from pushlane.callback.moderation.user_code import POLICIES
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pushlane.callback.chat_message import ChatMessage

LOAD_S: Final = 120.0
"""Models are large."""
HUNG_S: Final = 0.25
"""A process that has not answered a ping for this long is running other people's code without a pause."""
_PROGRAM: Final = "from pushlane.callback.moderation.policy_program import main; main({})"


@dataclass(eq=False, slots=True)
class Question:
    """A message for a policy, by its index in the chain, or for the routing.

    Attributes:
        until: When the answer would be too late, on the monotonic clock.
        answer: Its result.
        again: It is asked for the second time: its first process hangs or has ended.
    """

    number: int
    which: int
    message: ChatMessage
    until: float
    answer: asyncio.Future[Any]
    again: bool = False

    def is_open(self, now: float) -> bool:
        """Whether its answer is still needed, and not yet late."""
        return self.until > now and not self.answer.done()


class PolicyProcess:
    """A running process.

    Attributes:
        held: The questions that it was asked and has not answered.
        asked: The one that it has not reported as begun yet.
        runs: The one that it is working on. The others await something.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.held: dict[int, Question] = {}
        self.asked: Question | None = None
        self.runs: Question | None = None
        self._process = process
        self._reader = reader
        self._writer = writer
        self._pinged: float | None = None
        self._ended = asyncio.create_task(self._end())

    @classmethod
    async def start(cls) -> Self:
        """Starts a new interpreter: a fork would inherit locks of this process's threads. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_ANSWER_BYTES + 1)
            # -P: nothing in the current folder is imported as a module. -u: what policies print is not lost.
            command = [sys.executable, "-P", "-u", "-c", _PROGRAM.format(theirs.fileno())]
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
            except BaseException:
                writer.transport.abort()
                raise
        return cls(process, reader, writer)  # without an await: one that is cancelled would leave the process behind

    async def load(self, setup: Mapping[str, object]) -> Sequence[tuple[str, bool]]:
        """Name and ``inline`` of each policy. Raises SettingsError for what cannot be loaded."""
        self._write(setup)
        try:
            async with asyncio.timeout(LOAD_S):
                line = await self._reader.readline()
        except TimeoutError:
            raise SettingsError(POLICIES, f"could not be loaded within {LOAD_S:g} s") from None
        if not line:
            raise SettingsError(POLICIES, "the process that loads them has ended")
        answer = json.loads(line)
        if "setting" in answer:
            raise SettingsError(answer["setting"], answer["problem"])
        return [(name, inline) for name, inline in answer["policies"]]

    async def lines(self) -> AsyncIterator[Sequence[Any]]:
        """The lines that it sends, until it ends. Raises ValueError for a line that is too long."""
        with contextlib.suppress(ConnectionError):  # it ended with unread questions
            while line := await self._reader.readline():
                self._pinged = None
                yield json.loads(line)

    def ask(self, question: Question) -> None:
        """Sends it the question."""
        self.held[question.number] = self.asked = question
        self._write([question.number, question.which, question.message])

    @property
    def culprit(self) -> Question | None:
        """The question to blame if it hangs; None if it may be any of its tasks."""
        return self.runs or self.asked

    def hear(self, number: int, kind: str) -> Question | None:
        """Notes the progress of a question; returns the question once it is answered."""
        question = self.held.get(number)
        if question is self.asked:
            self.asked = None
        self.runs = question if kind == "goes" else None
        if question is None or kind not in {"goes", "waits"}:
            return self.held.pop(number, None)
        if question.answer.done():
            self.forget(question)  # it was given up before it could be stopped
        return None

    def forget(self, question: Question) -> None:
        """Gives up a question. One that may be running now cannot be stopped, and stays held."""
        if question not in {self.asked, self.runs} and question.number in self.held:
            del self.held[question.number]
            self._write([question.number])

    def ping(self, now: float) -> None:
        """Pings it, unless it still has to answer a ping."""
        if self._pinged is None and self.held:
            self._pinged = now
            self._write([])

    def is_hung(self, now: float) -> bool:
        """Whether its answer to a ping is overdue."""
        return self._pinged is not None and now - self._pinged > HUNG_S

    def kill(self) -> None:
        """Kills it, whatever it is doing; that ends ``lines``."""
        # asyncio's own kill() may reap it, and asyncio's child watcher would then log a process that it cannot find.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def aclose(self) -> int:
        """Kills it and waits until it is gone; its exit code."""
        self.kill()
        return await self._ended

    async def _end(self) -> int:
        """Ends ``lines`` with the process: children that its code forked may keep the other end open for ever."""
        code = await self._process.wait()
        self._writer.transport.abort()
        return code

    def _write(self, line: object) -> None:
        self._writer.write(json.dumps(line).encode() + b"\n")
