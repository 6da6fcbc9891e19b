"""The spool: the callback's decisions on disk while Redis is unreachable, and their way back in order.

::

    <directory>/<created, ns>-<random>.spool1     one per process, locked (flock) for as long as it lives
        frame, frame, …                           payload length (4), CRC-32 of length and payload (4), payload
    <directory>/….spool1.damaged                  set aside for manual inspection: the rest could not be read

A process appends to its own file. It reads the older ones first: those of dead processes, whose lock is free, and those
of its own that it has retired. A file that is completely fed is deleted, the own one truncated. How far a file is fed
is not written down: after a crash it is read again from its start, and feeding is idempotent.

The version is in the name and not in the file, so a file is valid from the moment it exists; the CRC covers the length,
so the zeros that a power cut may leave behind do not pass for a frame.

Order holds within a file. Files are read by the age in their names, as far as one process gets hold of them.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, Self, TypeVar

from pushlane.callback.decisions.spool_files import HEAD_BYTES, Files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES: Final = 64 * 2**20
"""Of one process's file: some 30,000 decisions of 2 KiB."""
MAX_PENDING_BYTES: Final = 4 * 2**20
"""How much may wait in memory for a disk that hangs; beyond that, the spool is full. Also the largest payload."""

_T = TypeVar("_T")


class SpoolFull(Exception):
    """The payload was not kept: the process's file, or what waits for the disk, is at its limit."""


class Spool:
    """Payloads on disk, first in, first out. Belongs to the process that opened it: open it after the fork.

    All file operations run in one thread, one after the other, so no method blocks the event loop, whatever the disk
    does. That thread does not keep the interpreter from exiting.
    """

    def __init__(self) -> None:
        self._files: Files
        self._closed = False
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._pending: deque[bytes] = deque()
        self._outcomes: deque[Exception | None] = deque()
        # Two counters, each with one writer: the event loop's thread and ours.
        self._asked_bytes = 0
        self._done_bytes = 0
        threading.Thread(target=self._work, name="pushlane-spool", daemon=True).start()

    @classmethod
    async def open(cls, directory: Path, *, max_bytes: int = MAX_BYTES) -> Self:
        """Creates the directory if it is missing, and this process's file in it, and adopts what dead processes left.

        If cancelled, it may hold files until the process ends.

        Args:
            directory: On a file system with flock that reaches every process which shares it.
            max_bytes: The limit of this process's file. One that is half fed when it is full is followed by a second
                one, so that feeding makes room: twice this may be on disk.

        Raises:
            OSError: The directory cannot be used, or a file in it cannot be opened; the message says why.
        """
        spool = cls()
        try:
            spool._files = await spool._do(lambda: Files(directory, max_bytes))
        except BaseException:
            spool._jobs.put(None)
            raise
        return spool

    @property
    def empty(self) -> bool:
        """Whether everything that was appended or adopted is confirmed."""
        return self._files.empty

    @property
    def left(self) -> tuple[int, int]:
        """The bytes and the number of the payloads that are not confirmed."""
        return self._files.left

    @property
    def left_out(self) -> int:
        """Bytes that reading has skipped so far: a file's first torn or damaged frame, and everything behind it."""
        return self._files.left_out

    async def append(self, payload: bytes) -> None:
        """Returns once the payload is on disk. Concurrent appends share one fsync.

        If cancelled, the payload may or may not be kept. If this raises OSError, it is not kept, unless the process
        dies right then.

        Raises:
            SpoolFull: It was not kept, for lack of room.
            OSError: The disk refused it, or the spool is closed; what was kept before is untouched.
        """
        self._check_open()
        size = HEAD_BYTES + len(payload)
        if self._asked_bytes - self._done_bytes + size > MAX_PENDING_BYTES:
            raise SpoolFull(f"more than {MAX_PENDING_BYTES} bytes would wait for the disk")
        self._asked_bytes += size
        self._pending.append(payload)
        await self._do(self._keep_next)

    async def read(self, most: int) -> list[bytes]:
        """The oldest payloads that are not confirmed, at most this many. They stay until they are confirmed.

        Raises:
            OSError: A file cannot be read, or the spool is closed.
        """
        self._check_open()
        return await self._do(lambda: self._files.read(most))

    async def confirm(self, count: int) -> None:
        """Marks the first ``count`` payloads of the latest read, beyond those already confirmed, as fed.

        Raises:
            OSError: A file that is completely fed cannot be deleted. Its payloads still count as confirmed, and the
                next confirmation or adoption tries again to delete it.
            ValueError: There are fewer.
        """
        self._check_open()
        await self._do(lambda: self._files.confirm(count))

    async def adopt(self) -> None:
        """Takes over the files of processes that died.

        Raises:
            OSError: One of them cannot be opened; the others were taken over.
        """
        self._check_open()
        await self._do(self._files.adopt)

    async def aclose(self) -> None:
        """Finishes what was requested, and leaves unconfirmed payloads to the next process that adopts them."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._do(self._files.close)
        finally:
            self._jobs.put(None)

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the spool is closed")

    def _work(self) -> None:
        while job := self._jobs.get():
            job()

    async def _do(self, work: Callable[[], _T]) -> _T:
        answer: Future[_T] = Future()
        answer.set_running_or_notify_cancel()  # from here on nobody can cancel it: the work is done all the same

        def job() -> None:
            try:
                answer.set_result(work())
            except Exception as error:  # noqa: BLE001 # it is raised again where it is awaited
                answer.set_exception(error)

        self._jobs.put(job)
        return await asyncio.wrap_future(answer)

    def _keep_next(self) -> None:
        """One append's job. The first of a batch writes all that is pending by then, and each takes its own outcome."""
        if not self._outcomes:
            self._flush([self._pending.popleft() for _ in range(len(self._pending))])
        if problem := self._outcomes.popleft():
            raise problem

    def _flush(self, batch: list[bytes]) -> None:
        try:
            fits = self._files.append(batch)
            self._outcomes.extend(None if fit else SpoolFull("the process's file is at its limit") for fit in fits)
        except Exception as error:  # noqa: BLE001 # each append raises it
            self._outcomes.extend(copy.copy(error) for _ in batch)
        self._done_bytes += sum(HEAD_BYTES + len(payload) for payload in batch)
