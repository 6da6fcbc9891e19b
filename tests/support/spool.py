"""What the tests of the spool share: payloads, what dead processes left, and disks that fail."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import environment

from pushlane.callback.decisions.spool import Spool

HEAD = 8


def numbered(*numbers: int) -> list[bytes]:
    """Payloads that can be told from one another."""
    return [b"decision %04d" % number for number in numbers]


FRAME = HEAD + len(numbered(1)[0])


async def keep(spool: Spool, payloads: list[bytes]) -> None:
    """Appends them all at once, in this order."""
    await asyncio.gather(*map(spool.append, payloads))


async def left_behind(directory: Path, payloads: list[bytes]) -> Path:
    """The file of a process that kept these and died."""
    elsewhere = directory / "elsewhere"
    spool = await Spool.open(elsewhere)
    await keep(spool, payloads)
    await spool.aclose()
    [file] = elsewhere.iterdir()
    file = file.rename(directory / file.name)
    elsewhere.rmdir()
    return file


async def drained(spool: Spool) -> list[bytes]:
    """Everything that waits, confirmed page by page."""
    everything: list[bytes] = []
    while page := await spool.read(3):
        everything += page
        await spool.confirm(len(page))
    return everything


def run(program: str, *arguments: object) -> "subprocess.Popen[bytes]":
    """A process of its own that runs this program."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@contextlib.contextmanager
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The disk does not finish an fsync; the event is set once one is under way."""
    under_way, released, fsync = threading.Event(), threading.Event(), os.fsync

    def hang(fd: int) -> None:
        under_way.set()
        released.wait()
        fsync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", hang)
        try:
            yield under_way
        finally:
            released.set()


def failing(call: Callable[..., Any], number: int) -> Callable[..., object]:
    """The call, which fails once with this error."""
    failed = False

    def fail_once(*arguments: object) -> object:
        nonlocal failed
        if failed:
            return call(*arguments)
        failed = True
        raise OSError(number, os.strerror(number))

    return fail_once
