"""The spool's files: locked by the process that writes them, adopted from those that died (see ``spool.py``)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SUFFIX: Final = ".spool1"
HEAD_BYTES: Final = 8


class Files:
    """The files that this process holds. Only the spool's thread uses them, but for the properties and ``left_out``."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._handed: list[tuple[File, int]] = []
        self.left_out = 0
        # Oldest first, our own last. Replaced and never changed, because other threads read it.
        self._all: tuple[File, ...] = ()
        try:
            self._all = (self._create(),)
            self.adopt()
        except OSError as error:
            self.close()
            reason = f"the spool directory {directory} cannot be used: {error.strerror}"
            raise OSError(error.errno, reason, error.filename) from error

    @property
    def left(self) -> tuple[int, int]:
        """The bytes and the number of the payloads that are not fed."""
        files = self._all
        return sum(file.size - file.fed for file in files), sum(file.left for file in files)

    @property
    def empty(self) -> bool:
        """Whether every payload is fed."""
        return not [file for file in self._all if file.fed != file.size]

    def append(self, payloads: Sequence[bytes]) -> list[bool]:
        """Whether there was room for each payload; those that had room are on disk."""
        frames = [_head(payload) + payload for payload in payloads]
        own = self._all[-1]
        full = own.size + sum(map(len, frames)) > self._max_bytes
        if own.damaged or not own.stands() or (full and 0 < own.size <= 2 * own.fed):
            # The old one is read to its end.
            own = self._create()
            self._all = (*self._all, own)
        end, kept, fits = own.size, [], []
        for frame in frames:
            fits.append(end + len(frame) <= self._max_bytes)
            if fits[-1]:
                kept.append(frame)
                end += len(frame)
        if kept:
            own.append(b"".join(kept))
            own.left += len(kept)
        return fits

    def read(self, most: int) -> list[bytes]:
        """The oldest payloads that are not fed, at most this many."""
        payloads: list[bytes] = []
        handed: list[tuple[File, int]] = []
        for file in self._all:
            at = file.fed
            while len(payloads) < most and at < file.size:
                payload = file.payload(at)
                if payload is None:
                    self.left_out += file.size - at
                    file.size, file.damaged = at, True
                    file.left = sum(one is file for one, _ in handed)
                    break
                at += HEAD_BYTES + len(payload)
                payloads.append(payload)
                handed.append((file, at))
        # Kept with their files: adopting or retiring a file before the confirmation must not change what it refers to.
        self._handed = handed
        return payloads

    def confirm(self, count: int) -> None:
        """Marks the first ``count`` of those read last as fed."""
        if not 0 <= count <= len(self._handed):
            raise ValueError(f"{count} of {len(self._handed)} payloads cannot be confirmed")
        for file, end in self._handed[:count]:
            file.fed = end
            file.left -= 1
        del self._handed[:count]
        self._discard_fed()

    def adopt(self) -> None:
        """Takes over the files of processes that died."""
        *older, own = self._all
        # Not left to the locks: a network file system may grant a process the same lock twice.
        held = {file.path for file in self._all}
        errors: list[OSError] = []
        for path in self._directory.iterdir():
            try:
                if path.suffix == _SUFFIX and path not in held and (file := File.adopt(path)):
                    older.append(file)
            except OSError as error:
                errors.append(error)
        self._all = (*sorted(older, key=lambda file: file.path.name), own)
        self._discard_fed()
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Closes all files, and removes those that are fed."""
        with contextlib.ExitStack() as last:  # it continues if one of them fails
            for file in self._all:
                last.callback(file.close)
                if file.fed == file.size:
                    last.callback(file.discard)

    def _create(self) -> File:
        # Again for every new file: the directory may have been deleted with everything in it.
        with contextlib.suppress(FileExistsError):
            self._directory.mkdir(mode=0o700, parents=True)
        return File.create(self._directory)

    def _discard_fed(self) -> None:
        *older, own = self._all
        for file in older:
            if file.fed == file.size:
                file.discard()
                file.close()
                self._all = tuple(kept for kept in self._all if kept is not file)
        if own.fed == own.size:
            if own.damaged:
                own.discard()  # now, so that no later process feeds it again; the next append makes a new one
            elif own.size:
                own.clear()


@dataclass(slots=True, eq=False)
class File:
    """One file of the spool, open.

    Attributes:
        size: The end of its last good frame, as far as is known: nothing beyond it was promised.
        fed: The end of its last confirmed frame.
        damaged: Some of it could not be read.
        left: How many frames lie between ``fed`` and ``size``.
    """

    path: Path
    fd: int
    size: int = 0
    fed: int = 0
    damaged: bool = False
    left: int = 0

    @classmethod
    def create(cls, directory: Path) -> Self:
        """A new one, locked; its name is on disk, too."""
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
    def adopt(cls, path: Path) -> Self | None:
        """The file of a dead process, locked; None if a living one has it, or had it and deleted it."""
        try:
            file = cls(path, os.open(path, os.O_RDWR))
        except FileNotFoundError:
            return None
        with contextlib.ExitStack() as undo:
            undo.callback(file.close)
            if not file.lock():
                return None
            file.size = os.fstat(file.fd).st_size
            file.left = file.count()
            undo.pop_all()
        return file

    def lock(self) -> bool:
        """Locks it. True if it is ours now: no other process has it, and its path still leads to it."""
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
        """Appends frames and syncs them; if that fails, what was written of them is cut off again."""
        done = 0
        try:
            while done < len(frames):
                done += os.pwrite(self.fd, frames[done:], self.size + done)
            # After a failure, the kernel treats the pages it could not write as written. The only one of them that
            # holds older frames is dirtied again by the truncation and by the next append, whose fsync then covers it.
            os.fsync(self.fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(frames)

    def payload(self, at: int) -> bytes | None:
        """The payload of the frame at this position; None if it is torn or damaged."""
        head = os.pread(self.fd, HEAD_BYTES, at)
        length = int.from_bytes(head[:4])
        if len(head) < HEAD_BYTES or at + HEAD_BYTES + length > self.size:
            return None
        payload = os.pread(self.fd, length, at + HEAD_BYTES)
        return payload if _head(payload) == head else None

    def count(self) -> int:
        """How many frames it has, by their heads: a damaged one and those behind it are only found by reading."""
        count = at = 0
        while (head := os.pread(self.fd, HEAD_BYTES, at)).strip(b"\0"):  # a power cut may leave zeros: no frames
            at += HEAD_BYTES + int.from_bytes(head[:4])
            count += at <= self.size
        return count

    def clear(self) -> None:
        """Empties the file."""
        os.ftruncate(self.fd, 0)
        self.size = self.fed = self.left = 0

    def discard(self) -> None:
        """Takes it out of the spool before it is closed: the next process to lock it finds that it is gone."""
        if self.stands():
            if self.damaged:
                self.path.rename(f"{self.path}.damaged")
            else:
                self.path.unlink()

    def close(self) -> None:
        """Closes the file, which unlocks it."""
        os.close(self.fd)


def _head(payload: bytes) -> bytes:
    length = len(payload).to_bytes(4)
    return length + zlib.crc32(payload, zlib.crc32(length)).to_bytes(4)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
