"""Whenever a process dies, what it had kept is there."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.spool import FRAME, HEAD, drained, left_behind, numbered, run

from pushlane.callback.decisions.spool import Spool
from pushlane.callback.decisions.spool_files import Files

DYING = """
import asyncio, itertools, os, sys
from pathlib import Path
from pushlane.callback.decisions.spool import Spool
async def main():
    spool = await Spool.open(Path(sys.argv[1]))
    async def append(name):
        for number in itertools.count():
            await spool.append(b"%d %d " % (name, number) + b"x" * 1500)
            os.write(1, b"%d %d\\n" % (name, number))
    await asyncio.gather(*map(append, range(16)))
asyncio.run(main())
"""


async def test_what_a_killed_process_had_kept_is_fed_by_a_living_one(tmp_path: Path) -> None:
    """Killed in mid-append, three times: every append that had returned is there, in order."""
    spool = await Spool.open(tmp_path)
    for _ in range(3):
        with run(DYING, tmp_path) as process:
            assert process.stdout is not None
            kept = [process.stdout.readline() for _ in range(300)]
            await spool.adopt()
            assert spool.empty, "it lives"
            process.kill()
            kept += process.stdout.readlines()
        await spool.adopt()
        payloads = [payload.split()[:2] for payload in await drained(spool)]
        assert {tuple(line.split()) for line in kept} <= {tuple(payload) for payload in payloads}
        for name in range(16):
            numbers = [int(number) for who, number in payloads if int(who) == name]
            assert numbers == list(range(len(numbers)))
    await spool.aclose()
    assert [path for path in tmp_path.iterdir() if path.suffix != ".damaged"] == []


HANGING = """
import asyncio, os, sys, threading
from pathlib import Path
from pushlane.callback.decisions.spool import Spool
async def main():
    spool = await Spool.open(Path(sys.argv[1]))
    os.fsync = lambda fd: threading.Event().wait()
    try:
        await asyncio.wait_for(spool.append(b"one"), 0.01)
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""


async def test_a_disk_that_hangs_keeps_no_process_from_its_end(tmp_path: Path) -> None:
    """The thread is left to hang."""
    with run(HANGING, tmp_path) as process:
        assert process.communicate(timeout=20)[0] == b"given up\n"
    assert process.returncode == 0


class Death(BaseException):
    """The process is killed here: nothing that it does afterwards reaches the disk."""


class Mortal:
    """The calls that change a disk; the process dies at one of them, by number, after half of a write."""

    CALLS = ("mkdir", "open", "pwrite", "fsync", "ftruncate", "unlink", "rename")

    def __init__(self, patch: pytest.MonkeyPatch, last: int) -> None:
        self.left = last
        self.called: set[str] = set()
        self.fds: set[int] = set()
        for name in self.CALLS:
            patch.setattr(os, name, self._mortal(name, getattr(os, name)))
        self.close = os.close
        patch.setattr(os, "close", self._close)

    def bury(self) -> None:
        """The kernel closes its files."""
        for fd in self.fds:
            self.close(fd)

    def _mortal(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 # as the original
            self.called.add(name)
            self.left -= 1
            if self.left < 0:
                if self.left == -1 and name == "pwrite":
                    fd, payload, at = arguments
                    call(fd, payload[: len(payload) // 2], at)
                raise Death
            result = call(*arguments, **options)
            if name == "open":
                self.fds.add(result)
            return result

        return called

    def _close(self, fd: int) -> None:
        self.fds.discard(fd)
        self.close(fd)


class Life:
    """What a process appends, confirms and adopts, and what it knows of it."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.kept: set[bytes] = set()
        self.maybe_confirmed: set[bytes] = set()

    def live(self, directory: Path) -> None:
        """Every operation at least once: truncation, retirement, adoption, deletion, setting aside."""
        files = Files(directory, 10 * FRAME)
        self._append(files, 0, 4)
        self._feed(files, 9)  # the adopted files, and our own, which is truncated
        self._append(files, 4, 8)
        self._feed(files, 5)
        self._append(files, 12, 3)  # behind a retired one
        files.adopt()
        self._feed(files, 2)
        self._append(files, 15, 2)
        self._feed(files, 9)
        self._append(files, 17, 1)
        files.close()

    def _append(self, files: Files, first: int, count: int) -> None:
        payloads = numbered(*range(first, first + count))
        self.asked += payloads
        assert all(files.append(payloads))
        self.kept.update(payloads)

    def _feed(self, files: Files, most: int) -> None:
        payloads = files.read(most)
        self.maybe_confirmed.update(payloads)
        files.confirm(len(payloads))


async def test_nothing_is_lost_whichever_call_a_process_dies_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each call that changes the disk, and in the middle of each write; the next process reads what is left."""
    old = numbered(9001, 9002)
    for last in range(1000):
        directory = tmp_path / str(last)
        directory.mkdir()
        await left_behind(directory, old)
        torn = await left_behind(directory, [b"torn"])
        os.truncate(torn, HEAD + 2)
        life = Life()
        with monkeypatch.context() as patch:
            mortal = Mortal(patch, last)
            try:
                life.live(directory)
                died = False
            except Death:
                died = True
        mortal.bury()
        following = await Spool.open(directory)
        read = await drained(following)
        await following.aclose()
        ours = [payload for payload in read if payload not in old]
        assert ours == [payload for payload in life.asked if payload in ours], "in order, and nothing twice"
        assert {*old, *life.kept} - life.maybe_confirmed <= set(read), "nothing lost"
        assert [path for path in directory.iterdir() if path.suffix != ".damaged"] == []
        if not died:
            break
    assert mortal.called == set(Mortal.CALLS), "the life of the last one, who did not die, was a full one"
