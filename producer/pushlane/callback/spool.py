"""The spool: the callback's decisions on disk while Redis is away, and the way back from there in order.

::

    <directory>/<created, ns>-<random>.spool1     one of each process, locked (flock) for as long as it lives
        frame, frame, …                           payload length (4), CRC-32 of length and payload (4), payload
    <directory>/….spool1.damaged                  set aside for a person: the rest of it could not be read

A process appends to its own file. It reads the older ones first: those of dead processes, whose lock is free, and those
of its own that it has retired. A file that is fed whole is deleted, its own truncated. Nothing is written about how far
a file is fed: after a crash it is read again from its start, and feeding is idempotent.

The version is in the name and not in the file, so a file is whole from the moment it exists; the CRC covers the length,
so the zeros that a power cut may leave behind are no frame.

Order holds within a file. Files come by the age in their names, as far as one process gets them.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import fcntl
import os
import queue
import secrets
import threading
import time
import zlib
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MAX_BYTES: Final = 64 * 2**20
"""Of one process's file: some 30,000 decisions of 2 KiB."""
MAX_PENDING_BYTES: Final = 4 * 2**20
"""What may wait in memory for a disk that hangs; beyond it the spool is full. Also the largest payload."""

_SUFFIX: Final = ".spool1"
_HEAD_BYTES: Final = 8

_T = TypeVar("_T")


class SpoolFull(Exception):
    """The payload was not kept: the process's file, or what waits for the disk, is as large as it may be."""


class Spool:
    """Payloads on disk, first in, first out. Belongs to the process that opened it: open it after the fork.

    All file operations run in one thread, one after the other, so no method blocks the event loop however the disk
    behaves. That thread keeps no interpreter from its exit.
    """

    def __init__(self) -> None:
        self._files: _Files
        self._closed = False
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._pending: deque[tuple[bytes, Future[None]]] = deque()
        # Two counters, each with one writer: the event loop's thread and ours.
        self._asked_bytes = 0
        self._done_bytes = 0
        threading.Thread(target=self._work, name="pushlane-spool", daemon=True).start()

    @classmethod
    async def open(cls, directory: Path, *, max_bytes: int = MAX_BYTES) -> Self:
        """Makes the directory if it is missing, and in it this process's file, and adopts what dead processes left.

        Cancelled, it may hold files until the process ends.

        Args:
            directory: On a file system with flock that reaches every process which shares it.
            max_bytes: The bound of this process's file. One that is half fed when it is full gives way to a second one,
                so that feeding makes room: twice this may lie on disk.

        Raises:
            OSError: The directory can not be used, or a file in it not be opened; the message says why.
        """
        spool = cls()
        try:
            spool._files = await spool._do(lambda: _Files(directory, max_bytes))
        except BaseException:
            spool._jobs.put(None)
            raise
        return spool

    @property
    def empty(self) -> bool:
        """Whether nothing that was appended or adopted waits to be confirmed."""
        return self._files.empty

    @property
    def left_out(self) -> int:
        """Bytes that reading has left out so far: a file's first torn or damaged frame, and all behind it."""
        return self._files.left_out

    async def append(self, payload: bytes) -> None:
        """Returns once the payload is on disk. Appends that run at once share one fsync.

        A cancelled one may be kept or not. One that raises OSError is not, unless the process dies right then.

        Raises:
            SpoolFull: It was not kept, for want of room.
            OSError: The disk refused it, or the spool is closed; what was kept before is untouched.
        """
        self._check_open()
        size = _HEAD_BYTES + len(payload)
        if self._asked_bytes - self._done_bytes + size > MAX_PENDING_BYTES:
            raise SpoolFull(f"more than {MAX_PENDING_BYTES} bytes would wait for the disk")
        self._asked_bytes += size
        kept: Future[None] = Future()
        self._pending.append((payload, kept))
        # One job each. The first takes all that is pending by then, the others find nothing left to do.
        self._jobs.put(self._flush)
        await asyncio.wrap_future(kept)

    async def read(self, most: int) -> list[bytes]:
        """The oldest payloads that are not confirmed, at most this many. They stay until they are.

        Raises:
            OSError: A file can not be read, or the spool is closed.
        """
        self._check_open()
        return await self._do(lambda: self._files.read(most))

    async def confirm(self, count: int) -> None:
        """Takes note that the first ``count`` payloads of the latest read, beyond those already confirmed, are fed.

        Raises:
            OSError: A file that is fed whole can not be deleted. Its payloads count as confirmed all the same, and
                deleting it is tried again with the next confirmation or adoption.
            ValueError: There are fewer.
        """
        self._check_open()
        await self._do(lambda: self._files.confirm(count))

    async def adopt(self) -> None:
        """Takes over the files of processes that died.

        Raises:
            OSError: One of them can not be opened; the others were taken.
        """
        self._check_open()
        await self._do(self._files.adopt)

    async def aclose(self) -> None:
        """Finishes what was asked for, and leaves what is not confirmed to the next process that adopts."""
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

        def job() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 # it is raised again where it is awaited
                _fail(answer, error)
            else:
                _answer(answer, value)

        self._jobs.put(job)
        return await asyncio.wrap_future(answer)

    def _flush(self) -> None:
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        if not batch:
            return
        errors: list[Exception | None]
        try:
            fits = self._files.append([payload for payload, _ in batch])
            errors = [None if fit else SpoolFull("the process's file is as large as it may be") for fit in fits]
        except Exception as error:  # noqa: BLE001 # it is raised again where it is awaited
            errors = [copy.copy(error) for _ in batch]
        self._done_bytes += sum(_HEAD_BYTES + len(payload) for payload, _ in batch)
        for (_, kept), failure in zip(batch, errors, strict=True):
            if failure is None:
                _answer(kept, None)
            else:
                _fail(kept, failure)


def _answer(future: Future[_T], value: _T) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(value)


def _fail(future: Future[_T], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


class _Files:
    """The files that this process holds. Used by the spool's thread alone, but for ``empty`` and ``left_out``."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._handed: list[tuple[_File, int]] = []
        self.left_out = 0
        # Oldest first, our own last. Replaced and never changed, for the loop's thread looks at it.
        self._all: tuple[_File, ...] = ()
        try:
            self._all = (self._create(),)
            self.adopt()
        except OSError as error:
            self.close()
            reason = f"the spool directory {directory} can not be used: {error.strerror}"
            raise OSError(error.errno, reason, error.filename) from error

    @property
    def empty(self) -> bool:
        return all(file.fed == file.size for file in self._all)

    def append(self, payloads: Sequence[bytes]) -> list[bool]:
        """Whether each of them had room; those that had are on disk."""
        frames = [_frame(payload) for payload in payloads]
        own = self._all[-1]
        full = own.size + sum(map(len, frames)) > self._max_bytes
        if not own.stands() or (full and 0 < own.size <= 2 * own.fed):
            own = self._renew()
        end, kept, fits = own.size, [], []
        for frame in frames:
            fits.append(end + len(frame) <= self._max_bytes)
            if fits[-1]:
                kept.append(frame)
                end += len(frame)
        if kept:
            own.append(b"".join(kept))
        return fits

    def read(self, most: int) -> list[bytes]:
        payloads: list[bytes] = []
        handed: list[tuple[_File, int]] = []
        for file in self._all:
            at = file.fed
            while len(payloads) < most and at < file.size:
                payload = file.payload(at)
                if payload is None:
                    self._leave_out(file, at)
                    break
                at += _HEAD_BYTES + len(payload)
                payloads.append(payload)
                handed.append((file, at))
        # Kept with their files: one that is adopted or retired before the confirmation must not shift what it means.
        self._handed = handed
        return payloads

    def confirm(self, count: int) -> None:
        if not 0 <= count <= len(self._handed):
            raise ValueError(f"{count} of {len(self._handed)} payloads can not be confirmed")
        for file, end in self._handed[:count]:
            file.fed = end
        del self._handed[:count]
        self._discard_fed()

    def adopt(self) -> None:
        *older, own = self._all
        # Not left to the locks: a network's file system may grant a second one to the process that has the first.
        held = {file.path for file in self._all}
        errors: list[OSError] = []
        for path in self._directory.iterdir():
            try:
                if path.suffix == _SUFFIX and path not in held and (file := _File.take(path)):
                    older.append(file)
            except OSError as error:
                errors.append(error)
        self._all = (*sorted(older, key=lambda file: file.path.name), own)
        self._discard_fed()
        if errors:
            raise errors[0]

    def close(self) -> None:
        with contextlib.ExitStack() as last:  # which goes on when one of them fails
            for file in self._all:
                last.callback(file.close)
                if file.fed == file.size:
                    last.callback(file.discard)

    def _create(self) -> _File:
        # Again with every new file: somebody may have deleted the directory with all in it.
        with contextlib.suppress(FileExistsError):
            self._directory.mkdir(mode=0o700, parents=True)
        return _File.create(self._directory)

    def _renew(self) -> _File:
        """A new file of our own; the old one, full and half fed, or deleted by somebody, is read to its end."""
        own = self._create()
        self._all = (*self._all, own)
        return own

    def _leave_out(self, file: _File, at: int) -> None:
        if file is self._all[-1]:
            self._renew()
        self.left_out += file.size - at
        file.size, file.damaged = at, True

    def _discard_fed(self) -> None:
        *older, own = self._all
        for file in older:
            if file.fed == file.size:
                file.discard()
                file.close()
                self._all = tuple(kept for kept in self._all if kept is not file)
        if own.size and own.fed == own.size:
            own.clear()


@dataclass(slots=True, eq=False)
class _File:
    """One file of the spool, open.

    Attributes:
        size: The end of its last good frame, as far as is known: beyond it nothing was promised.
        fed: The end of its last confirmed frame.
        damaged: Some of it could not be read.
    """

    path: Path
    fd: int
    size: int = 0
    fed: int = 0
    damaged: bool = False

    @classmethod
    def create(cls, directory: Path) -> Self:
        """A new one, locked; its name is on disk too."""
        while True:
            path = directory / f"{time.time_ns():020d}-{secrets.token_hex(4)}{_SUFFIX}"
            file = cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with contextlib.ExitStack() as undo:
                undo.callback(file.close)
                undo.callback(file.discard)
                # Another process may adopt it, still empty, before it is locked; then it gets deleted.
                if file.lock():
                    _sync_directory(directory)
                    undo.pop_all()
                    return file

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """The file of a dead process, locked; None if somebody living has it, or had it and deleted it."""
        try:
            file = cls(path, os.open(path, os.O_RDWR))
        except FileNotFoundError:
            return None
        with contextlib.ExitStack() as undo:
            undo.callback(file.close)
            if not file.lock():
                return None
            file.size = os.fstat(file.fd).st_size
            undo.pop_all()
        return file

    def lock(self) -> bool:
        """Whether it is ours now: nobody has it, and its path still leads to it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise OSError(error.errno, f"no lock (flock): {error.strerror}", str(self.path)) from error
        return self.stands()

    def stands(self) -> bool:
        """Whether its path still leads to it."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.fd))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def append(self, frames: bytes) -> None:
        done = 0
        try:
            while done < len(frames):
                done += os.pwrite(self.fd, frames[done:], self.size + done)
            # After a failure the kernel takes the pages it could not write for written. The only one of them that holds
            # older frames is dirtied again by the truncation and by the next append, whose fsync then speaks for it.
            os.fsync(self.fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(frames)

    def payload(self, at: int) -> bytes | None:
        """What the frame there carries; None if it is torn or damaged."""
        head = os.pread(self.fd, _HEAD_BYTES, at)
        length = int.from_bytes(head[:4])
        if len(head) < _HEAD_BYTES or at + _HEAD_BYTES + length > self.size:
            return None
        payload = os.pread(self.fd, length, at + _HEAD_BYTES)
        return payload if _head(payload) == head else None

    def clear(self) -> None:
        os.ftruncate(self.fd, 0)
        self.size = self.fed = 0

    def discard(self) -> None:
        """Takes it out of the spool, before it is closed: who gets the lock after us finds that it does not stand."""
        if self.stands():
            if self.damaged:
                self.path.rename(f"{self.path}.damaged")
            else:
                self.path.unlink()

    def close(self) -> None:
        os.close(self.fd)


def _frame(payload: bytes) -> bytes:
    return _head(payload) + payload


def _head(payload: bytes) -> bytes:
    length = len(payload).to_bytes(4)
    return length + zlib.crc32(payload, zlib.crc32(length)).to_bytes(4)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
