"""One process for other people's code, seen from the process that has started it; see ``policy_program.py``."""

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

from pushlane.callback.policy_program import MAX_ANSWER_BYTES
from pushlane.callback.user_code import POLICIES
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pushlane.callback.chat_message import ChatMessage

LOAD_S: Final = 120.0
"""Models are large."""
HUNG_S: Final = 0.25
"""A process that has not answered a ping for this long runs other people's code without a pause."""
_PROGRAM: Final = "from pushlane.callback.policy_program import main; main({})"


@dataclass(eq=False, slots=True)
class Question:
    """A message for a policy, by its place in the chain, or for the routing.

    Attributes:
        until: When nobody needs the answer in time any more, on the monotonic clock.
        said: What came of it.
        again: It is asked for the second time: its first process hangs or has ended.
    """

    number: int
    which: int
    message: ChatMessage
    until: float
    said: asyncio.Future[Any]
    again: bool = False

    def is_open(self, now: float) -> bool:
        """Whether somebody waits for it who is not late yet."""
        return self.until > now and not self.said.done()


class PolicyProcess:
    """A running process.

    Attributes:
        held: The questions that it was asked and has not answered.
        asked: The one that it has not begun yet, as far as it said.
        runs: The one that it goes on with. The others await something.
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
        """A new interpreter: a fork would take the locks of this process's threads with it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: what lies in the current folder is no module of ours. -u: what policies print is not lost.
            words = [sys.executable, "-P", "-u", "-c", _PROGRAM.format(theirs.fileno())]
            try:
                process = await asyncio.create_subprocess_exec(
                    *words, stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, *await asyncio.open_connection(sock=ours, limit=MAX_ANSWER_BYTES + 1))

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
        """What it says, until its end. Raises ValueError for a line that is too long."""
        with contextlib.suppress(ConnectionError):  # its end, with questions that it has not read
            while line := await self._reader.readline():
                self._pinged = None
                yield json.loads(line)

    def ask(self, question: Question) -> None:
        """Asks it."""
        self.held[question.number] = self.asked = question
        self._write([question.number, question.which, question.message])

    @property
    def culprit(self) -> Question | None:
        """Whom it is with, if it hangs; None when its own tasks may do anything."""
        return self.runs or self.asked

    def hear(self, number: int, kind: str) -> Question | None:
        """Notes how far a question is; the question, when it has its answer."""
        question = self.held.get(number)
        if question is self.asked:
            self.asked = None
        self.runs = question if kind == "goes" else None
        if question is None or kind not in {"goes", "waits"}:
            return self.held.pop(number, None)
        if question.said.done():
            self.forget(question)  # nobody waited any more when it could not be stopped yet
        return None

    def forget(self, question: Question) -> None:
        """Nobody waits for this answer any more. What may be running now cannot be stopped, and stays held."""
        if question not in {self.asked, self.runs} and question.number in self.held:
            del self.held[question.number]
            self._write([question.number])

    def ping(self, now: float) -> None:
        """Asks whether it is there, unless it still has to say so."""
        if self._pinged is None and self.held:
            self._pinged = now
            self._write([])

    def is_hung(self, now: float) -> bool:
        """Whether it should have answered a ping."""
        return self._pinged is not None and now - self._pinged > HUNG_S

    def kill(self) -> None:
        """Ends it, whatever it does; ``lines`` end."""
        # asyncio's own kill() may reap it, which its watcher then logs as a mystery.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def aclose(self) -> int:
        """Kills it and waits until it is gone; its exit code."""
        self.kill()
        return await self._ended

    async def _end(self) -> int:
        """Ends the lines with the process: children that its code forked may hold the other end for ever."""
        code = await self._process.wait()
        self._writer.transport.abort()
        return code

    def _write(self, line: object) -> None:
        self._writer.write(json.dumps(line).encode() + b"\n")
