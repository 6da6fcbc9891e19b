"""What lies on disk while Redis is away is read again, in order, whoever dies when."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import asyncio
import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import environment

from pushlane.callback.spool import MAX_PENDING_BYTES, Spool, SpoolFull
from pushlane.callback.spool_files import File, Files

HEAD = 8


def numbered(*numbers: int) -> list[bytes]:
    """Payloads that can be told from one another."""
    return [b"decision %04d" % number for number in numbers]


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


# Order, reading and confirming


async def test_payloads_come_back_in_the_order_in_which_they_were_appended(tmp_path: Path) -> None:
    """One after the other and all at once, empty ones and large ones."""
    spool = await Spool.open(tmp_path)
    await spool.append(b"")
    await spool.append(b"\x00" * 100_000)
    await keep(spool, numbered(*range(50)))
    assert await spool.read(100) == [b"", b"\x00" * 100_000, *numbered(*range(50))]
    await spool.aclose()


async def test_a_payload_is_read_again_until_it_is_confirmed(tmp_path: Path) -> None:
    """Whoever reads, fails to feed and reads again gets the same ones."""
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(1, 2, 3, 4))
    assert await spool.read(2) == await spool.read(2) == numbered(1, 2)
    await spool.confirm(1)
    await spool.confirm(1)
    assert await spool.read(9) == numbered(3, 4)
    await spool.confirm(1)
    assert await spool.read(9) == numbered(4)
    await spool.aclose()


@pytest.mark.parametrize("count", [-1, 3])
async def test_only_what_was_read_can_be_confirmed(tmp_path: Path, count: int) -> None:
    """A count that is wrong confirms nothing."""
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(1, 2, 3))
    await spool.read(2)
    with pytest.raises(ValueError, match=f"{count} of 2 payloads"):
        await spool.confirm(count)
    assert await spool.read(9) == numbered(1, 2, 3)
    await spool.aclose()


async def test_it_is_empty_once_everything_is_confirmed(tmp_path: Path) -> None:
    """Reading leaves the payloads there; new decisions go behind them."""
    spool = await Spool.open(tmp_path)
    assert spool.empty
    await keep(spool, numbered(1, 2))
    await spool.read(2)
    assert not spool.empty
    await spool.confirm(1)
    assert not spool.empty
    await spool.confirm(1)
    assert spool.empty
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [0], "our own file is truncated"
    await spool.append(b"next")
    assert not spool.empty
    assert await drained(spool) == [b"next"]
    await spool.aclose()


async def test_an_empty_spool_leaves_no_file(tmp_path: Path) -> None:
    """Closing takes the file along when nothing waits in it, and so does a second closing."""
    spool = await Spool.open(tmp_path)
    await spool.append(b"one")
    await drained(spool)
    await spool.aclose()
    await spool.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_what_is_not_confirmed_is_left_to_the_next_process(tmp_path: Path) -> None:
    """Also what was still being appended when the spool was closed; a file is read again from its start."""
    spool = await Spool.open(tmp_path)
    await spool.append(b"one")
    await spool.read(1)
    appends = [asyncio.create_task(spool.append(payload)) for payload in numbered(*range(20))]
    await asyncio.sleep(0)
    await spool.confirm(1)
    await spool.aclose()
    await asyncio.gather(*appends)
    following = await Spool.open(tmp_path)
    assert not following.empty
    assert await drained(following) == [b"one", *numbered(*range(20))]
    await following.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_a_closed_spool_refuses(tmp_path: Path) -> None:
    """A late decision is told that nobody keeps it, and does not wait for ever."""
    spool = await Spool.open(tmp_path)
    await spool.aclose()
    for asked in (spool.append(b""), spool.read(1), spool.confirm(0), spool.adopt()):
        with pytest.raises(OSError, match="the spool is closed"):
            await asked


async def test_payloads_are_not_kept_in_memory(tmp_path: Path) -> None:
    """An hour without Redis costs disk."""
    spool = await Spool.open(tmp_path)
    tracemalloc.start()
    for _ in range(40):
        await asyncio.gather(*(spool.append(os.urandom(4000)) for _ in range(50)))
    while page := await spool.read(50):
        await spool.confirm(len(page))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 2**20, "of 8 MB that went through"
    await spool.aclose()


# Adoption


async def test_files_of_dead_processes_come_first_the_oldest_before_the_others(tmp_path: Path) -> None:
    """A living process takes them over while it runs, and reads them before its own."""
    for numbers in ((1, 2), (3,), (4, 5)):
        await left_behind(tmp_path, numbered(*numbers))
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(8, 9))
    await left_behind(tmp_path, numbered(6, 7))
    await spool.adopt()
    assert await drained(spool) == numbered(1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert len(list(tmp_path.iterdir())) == 1, "adopted files are deleted"
    await spool.aclose()


async def test_what_is_adopted_between_reading_and_confirming_is_not_confirmed(tmp_path: Path) -> None:
    """A confirmation is of what was read, not of what stands first by then."""
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(8, 9))
    await spool.read(2)
    await left_behind(tmp_path, numbered(1, 2))
    await spool.adopt()
    await spool.confirm(2)
    assert await drained(spool) == numbered(1, 2)
    await spool.aclose()


async def test_a_living_process_keeps_its_file(tmp_path: Path) -> None:
    """Neither when another one starts nor when it adopts; not even an empty one."""
    one = await Spool.open(tmp_path)
    two = await Spool.open(tmp_path)
    await one.append(b"one")
    await two.adopt()
    three = await Spool.open(tmp_path)
    assert two.empty
    assert three.empty
    assert await drained(one) == [b"one"]
    assert len(list(tmp_path.iterdir())) == 3
    for spool in (one, two, three):
        await spool.aclose()


async def test_what_it_holds_is_not_adopted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a second lock would be granted to the same process."""
    await left_behind(tmp_path, numbered(1))
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    spool = await Spool.open(tmp_path)
    await spool.append(*numbered(2))
    await spool.adopt()
    assert await spool.read(9) == numbered(1, 2)
    await spool.aclose()


ADOPTER = """
import asyncio, sys
from pathlib import Path
from pushlane.callback.spool import Spool
async def main():
    spool = await Spool.open(Path(sys.argv[1], "elsewhere"))
    spool._files._directory = Path(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    await spool.adopt()
    while page := await spool.read(10):
        for payload in page:
            print(payload.decode())
        await spool.confirm(len(page))
        await spool.adopt()
    await spool.aclose()
asyncio.run(main())
"""


async def test_of_processes_that_adopt_at_once_one_gets_each_file(tmp_path: Path) -> None:
    """Also while the first to come already delete what the others are about to lock."""
    for number in range(100):
        await left_behind(tmp_path, numbered(number))
    with contextlib.ExitStack() as stack:
        adopters = [stack.enter_context(run(ADOPTER, tmp_path)) for _ in range(4)]
        for adopter in adopters:
            assert adopter.stdout is not None
            assert adopter.stdout.readline() == b"ready\n"
        for adopter in adopters:
            assert adopter.stdin is not None
            adopter.stdin.write(b"\n")
            adopter.stdin.flush()
        adopted = [adopter.communicate()[0].splitlines() for adopter in adopters]
    assert sorted(line for lines in adopted for line in lines) == numbered(*range(100))
    assert [adopter.returncode for adopter in adopters] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


async def test_a_file_that_its_adopter_deletes_before_we_lock_it_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of a deleted file is free, and what was in it is fed."""
    file = await left_behind(tmp_path, numbered(1))
    flock = fcntl.flock

    def too_late(fd: int, operation: int) -> None:
        file.unlink()
        flock(fd, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", too_late)
        assert File.take(file) is None
    assert File.take(file) is None, "gone before it is opened"


@pytest.mark.parametrize("finished", [False, True])
async def test_a_new_file_that_is_adopted_before_it_is_locked_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, finished: bool
) -> None:
    """Whether the adopter still has it, or has deleted it: nothing is appended to a file that is not in the spool."""
    flock = fcntl.flock
    adopters: list[int] = []

    def adopted_first(fd: int, operation: int) -> None:
        if not adopters:
            [path] = tmp_path.iterdir()
            adopters.append(os.open(path, os.O_RDWR))
            flock(adopters[0], operation)
            if finished:
                path.unlink()
                os.close(adopters[0])
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", adopted_first)
    spool = await Spool.open(tmp_path)
    await spool.append(b"one")
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [HEAD + 3]
    await spool.aclose()
    if not finished:
        os.close(adopters[0])


async def test_one_file_that_can_not_be_opened_keeps_no_other_from_adoption(tmp_path: Path) -> None:
    """The error is raised, after the others were taken."""
    spool = await Spool.open(tmp_path)
    (tmp_path / "0.spool1").mkdir()
    file = await left_behind(tmp_path, numbered(1))
    with pytest.raises(IsADirectoryError):
        await spool.adopt()
    assert await drained(spool) == numbered(1)
    assert not file.exists()
    await spool.aclose()


async def test_an_adopted_file_that_somebody_deletes_is_still_read(tmp_path: Path) -> None:
    """It is open, and nobody else can have it."""
    file = await left_behind(tmp_path, numbered(1, 2))
    spool = await Spool.open(tmp_path)
    file.unlink()
    assert await drained(spool) == numbered(1, 2)
    assert spool.empty
    await spool.aclose()


@pytest.mark.parametrize("whole_directory", [False, True])
async def test_our_file_that_somebody_deletes_is_replaced(tmp_path: Path, *, whole_directory: bool) -> None:
    """What is appended from then on lies where a next process finds it, and what was in it is still fed by us."""
    directory = tmp_path / "spool"
    spool = await Spool.open(directory)
    await spool.append(b"before")
    [file] = directory.iterdir()
    file.unlink()
    if whole_directory:
        directory.rmdir()
    await spool.append(b"after")
    assert [path.read_bytes()[HEAD:] for path in directory.iterdir()] == [b"after"]
    assert await drained(spool) == [b"before", b"after"]
    await spool.aclose()
    assert list(directory.iterdir()) == []


# Torn and damaged files


async def read_after(tmp_path: Path, damage: Callable[[bytes], bytes]) -> tuple[list[bytes], int]:
    """What is read of three payloads after the damage to their file, and the bytes left out."""
    file = await left_behind(tmp_path, numbered(1, 2, 3))
    file.write_bytes(damage(file.read_bytes()))
    later = await left_behind(tmp_path, [b"later"])
    spool = await Spool.open(tmp_path)
    payloads = await drained(spool)
    assert payloads.pop() == b"later", "a damaged file does not keep the ones behind it from being read"
    assert spool.empty
    assert not file.exists()
    assert not later.exists()
    await spool.aclose()
    return payloads, spool.left_out


FRAME = HEAD + len(numbered(1)[0])


@pytest.mark.parametrize("rest", range(FRAME))
async def test_a_torn_frame_is_left_out(tmp_path: Path, rest: int) -> None:
    """A process died in mid-write: what it had been told is kept is all there."""
    assert await read_after(tmp_path, lambda file: file[: 2 * FRAME + rest]) == (numbered(1, 2), rest)


@pytest.mark.parametrize("position", range(FRAME))
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
async def test_a_frame_with_a_flipped_byte_is_left_out(tmp_path: Path, position: int, flip: int) -> None:
    """Also one in its length, whether that makes it longer or shorter."""

    def damage(file: bytes) -> bytes:
        at = 2 * FRAME + position
        return file[:at] + bytes([file[at] ^ flip]) + file[at + 1 :]

    assert await read_after(tmp_path, damage) == (numbered(1, 2), FRAME)


@pytest.mark.parametrize("frames", [0, 1, 2])
async def test_nothing_behind_a_damaged_frame_is_read(tmp_path: Path, frames: int) -> None:
    """Where the next frame begins is not known; all that is left out is told, and set aside for a person."""

    def damage(file: bytes) -> bytes:
        return file[: frames * FRAME] + b"\xff" + file[frames * FRAME + 1 :]

    left_out = (3 - frames) * FRAME
    assert await read_after(tmp_path, damage) == (numbered(1, 2, 3)[:frames], left_out)
    [aside] = tmp_path.iterdir()
    assert aside.name.endswith(".spool1.damaged")
    assert aside.stat().st_size == 3 * FRAME


async def test_a_damaged_length_asks_for_no_more_than_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped bit of it must not cost 4 GiB of memory."""
    pread, asked = os.pread, list[int]()

    def note(fd: int, length: int, at: int) -> bytes:
        asked.append(length)
        return pread(fd, length, at)

    monkeypatch.setattr(os, "pread", note)
    assert await read_after(tmp_path, lambda file: b"\xff" + file[1:]) == ([], 3 * FRAME)
    assert max(asked) <= FRAME


@pytest.mark.parametrize("zeros", [1, HEAD, 4096])
async def test_zeros_are_no_frames(tmp_path: Path, zeros: int) -> None:
    """A power cut may leave a file longer than what was written to it: not one empty payload comes of that."""
    assert await read_after(tmp_path, lambda file: file + bytes(zeros)) == (numbered(1, 2, 3), zeros)


async def test_an_empty_file_is_deleted(tmp_path: Path) -> None:
    """Its process died before its first append."""
    assert await read_after(tmp_path, lambda _: b"") == ([], 0)
    assert list(tmp_path.iterdir()) == []


async def test_damage_to_our_own_file_costs_no_later_payload(tmp_path: Path) -> None:
    """What is appended then goes to another file, and the damaged one is set aside as it is."""
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(1, 2, 3))
    [file] = tmp_path.iterdir()
    damaged = bytearray(file.read_bytes())
    damaged[FRAME + 5] ^= 0x10
    file.write_bytes(damaged)
    assert await spool.read(9) == numbered(1)
    assert spool.left_out == 2 * FRAME
    await spool.append(b"next")
    await spool.confirm(1)
    assert await drained(spool) == [b"next"]
    assert spool.left_out == 2 * FRAME, "told once"
    await spool.aclose()
    [aside] = tmp_path.iterdir()
    assert aside.name == f"{file.name}.damaged"
    assert aside.read_bytes() == damaged


# Bounds


async def test_a_full_spool_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    """What fits is kept, though it stands behind what does not; room comes back with the feeding."""
    spool = await Spool.open(tmp_path, max_bytes=3 * FRAME)
    await keep(spool, numbered(1, 2))
    large = b"x" * (FRAME + 1)
    outcomes = await asyncio.gather(spool.append(large), *map(spool.append, numbered(3, 4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SpoolFull, type(None), SpoolFull]
    with pytest.raises(SpoolFull):
        await spool.append(b"")
    assert await drained(spool) == numbered(1, 2, 3)
    await keep(spool, numbered(5, 6, 7))
    assert await drained(spool) == numbered(5, 6, 7)
    await spool.aclose()


async def test_a_spool_that_is_fed_while_it_is_filled_does_not_get_full(tmp_path: Path) -> None:
    """New decisions go behind old ones for as long as one waits, so it may be long before the file is fed whole."""
    spool = await Spool.open(tmp_path, max_bytes=10 * FRAME)
    await keep(spool, numbered(0, 1, 2))
    for number in range(3, 100):
        await spool.append(*numbered(number))
        assert await spool.read(1) == numbered(number - 3)
        await spool.confirm(1)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * 10 * FRAME
    await spool.aclose()
    following = await Spool.open(tmp_path)
    assert (await drained(following))[-3:] == numbered(97, 98, 99)
    await following.aclose()


async def test_a_file_that_is_less_than_half_fed_is_not_given_up(tmp_path: Path) -> None:
    """The bound holds: what waits does not grow file by file."""
    spool = await Spool.open(tmp_path, max_bytes=10 * FRAME)
    await keep(spool, numbered(*range(10)))
    await spool.read(4)
    await spool.confirm(4)
    with pytest.raises(SpoolFull):
        await spool.append(b"")
    assert len(list(tmp_path.iterdir())) == 1
    await spool.aclose()


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


async def test_a_disk_that_hangs_costs_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends are given up by their callers, and their payloads wait on; those beyond the bound are refused at once."""
    spool = await Spool.open(tmp_path)
    payload = b"x" * 2**20
    with hanging_disk(monkeypatch):
        appends = [asyncio.create_task(spool.append(payload)) for _ in range(MAX_PENDING_BYTES // 2**20)]
        with pytest.raises(SpoolFull, match="would wait for the disk"):
            await appends.pop()
        for append in appends[1:]:
            append.cancel()
    await appends[0]
    await spool.append(payload)
    assert spool._asked_bytes == spool._done_bytes
    await spool.aclose()


async def test_a_cancelled_append_disturbs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller's time was over while the disk hung; the event loop ran on."""
    spool = await Spool.open(tmp_path)
    with hanging_disk(monkeypatch) as under_way:
        first = asyncio.create_task(spool.append(b"first"))
        assert await asyncio.to_thread(under_way.wait, 10)
        others = [asyncio.create_task(spool.append(payload)) for payload in numbered(1, 2, 3)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(spool.append(b"cancelled"), 0.001)
        others[1].cancel()
        first.cancel()
    await asyncio.wait([first, *others])
    assert [task.cancelled() for task in (first, *others)] == [True, False, True, False]
    payloads = await drained(spool)
    assert [payload for payload in payloads if payload in numbered(1, 3)] == numbered(1, 3)
    await spool.aclose()


async def test_the_name_of_a_file_is_on_disk_before_anything_is_kept_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a file without a name is no file; so with the first one, and with one that replaces it."""
    fsync, synced = os.fsync, list[int]()

    def note(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    spool = await Spool.open(tmp_path)
    for _ in range(2):
        [file] = tmp_path.iterdir()
        file.unlink()
        await spool.append(b"one")
    [file] = tmp_path.iterdir()
    names = tmp_path.stat().st_ino
    assert [inode == names for inode in synced] == [True, True, False, True, False]
    assert synced[-1] == file.stat().st_ino
    await spool.aclose()


async def test_appends_that_run_at_once_share_an_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is busy with the first, all others gather for the second."""
    spool = await Spool.open(tmp_path)
    fsync, synced = os.fsync, list[int]()

    def count(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", count)
    with hanging_disk(monkeypatch) as under_way:
        first = asyncio.create_task(spool.append(*numbered(0)))
        assert await asyncio.to_thread(under_way.wait, 10)
        others = [asyncio.create_task(spool.append(payload)) for payload in numbered(*range(1, 51))]
        await asyncio.sleep(0)
    await asyncio.gather(first, *others)
    assert synced == [FRAME, 51 * FRAME]
    await spool.aclose()


# A disk that refuses


def failing(call: Callable[..., Any], number: int, *, before: Callable[..., object] = lambda *_: None) -> Any:  # noqa: ANN401
    """The call, which fails once with this error, and does ``before`` first."""
    failed = False

    def fail_once(*arguments: object) -> object:
        nonlocal failed
        if failed:
            return call(*arguments)
        failed = True
        before(*arguments)
        raise OSError(number, os.strerror(number))

    return fail_once


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
async def test_what_stood_before_a_refused_append_is_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Every append of the batch hears of it, the file is cut back, and the next ones are kept."""
    spool = await Spool.open(tmp_path)
    await spool.append(b"before")
    monkeypatch.setattr(os, call, failing(getattr(os, call), errno.ENOSPC))
    with pytest.raises(OSError, match="No space left on device"):
        await spool.append(b"refused")
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [HEAD + 6]
    await spool.append(b"after")
    await spool.aclose()
    following = await Spool.open(tmp_path)
    assert await drained(following) == [b"before", b"after"]
    assert following.left_out == 0
    await following.aclose()


async def test_a_torn_write_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes half of it and then no more, and perhaps does not even let the file be cut."""
    spool = await Spool.open(tmp_path)
    await spool.append(b"before")
    pwrite = os.pwrite

    def half(fd: int, payload: bytes, at: int) -> int:
        monkeypatch.setattr(os, "pwrite", failing(pwrite, errno.ENOSPC))
        return pwrite(fd, payload[: len(payload) // 2], at)

    for cut in (True, False):
        monkeypatch.setattr(os, "pwrite", half)
        if not cut:
            monkeypatch.setattr(os, "ftruncate", failing(os.ftruncate, errno.EIO))
        outcomes = await asyncio.gather(*map(spool.append, numbered(1, 2)), return_exceptions=True)
        assert [getattr(outcome, "errno", None) for outcome in outcomes] == [errno.ENOSPC] * 2
        assert outcomes[0] is not outcomes[1]
        assert not spool._pending
        assert [path.stat().st_size for path in tmp_path.iterdir()] == [HEAD + 6 + (not cut) * FRAME]
    await keep(spool, numbered(3, 4))
    assert await spool.read(9) == [b"before", *numbered(3, 4)]
    await spool.aclose()
    following = await Spool.open(tmp_path)
    assert await drained(following) == [b"before", *numbered(3, 4)]
    await following.aclose()


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from pushlane.callback.spool import Spool
async def main():
    spool = await Spool.open(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    for number in range(20):
        if number == 15:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            await spool.append(b"%02d" % number + b"x" * 1500)
            print(number, flush=True)
        except OSError:
            pass
    await spool.aclose()
asyncio.run(main())
"""


async def test_a_file_that_really_may_not_grow(tmp_path: Path) -> None:
    """The kernel's own refusal, in mid-frame: what was kept before and after it is read, and nothing else."""
    with run(LIMITED, tmp_path) as process:
        kept = [int(line) for line in process.communicate()[0].split()]
    assert kept == [*range(6), *range(15, 20)]
    spool = await Spool.open(tmp_path)
    assert [int(payload[:2]) for payload in await drained(spool)] == kept
    assert spool.left_out == 0
    await spool.aclose()


async def test_a_fed_file_that_can_not_be_deleted_is_deleted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its payloads are confirmed all the same, so that those behind them are fed."""
    file = await left_behind(tmp_path, numbered(1))
    spool = await Spool.open(tmp_path)
    await spool.append(*numbered(2))
    await spool.read(1)
    monkeypatch.setattr(os, "unlink", failing(os.unlink, errno.EROFS))
    with pytest.raises(OSError, match="Read-only"):
        await spool.confirm(1)
    assert file.exists()
    assert await drained(spool) == numbered(2)
    assert not file.exists()
    await spool.aclose()


async def test_a_program_error_reaches_the_caller(tmp_path: Path) -> None:
    """The thread survives what nobody thought of, and appends do not wait for ever."""
    spool = await Spool.open(tmp_path)
    with pytest.raises(TypeError):
        await spool.append("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await spool.read("many")  # type: ignore[arg-type]
    await spool.append(b"one")
    assert await drained(spool) == [b"one"]
    await spool.aclose()


# Directories


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The spool holds people's messages."""
    directory = tmp_path / "new" / "spool"
    old = os.umask(0)
    try:
        spool = await Spool.open(directory)
    finally:
        os.umask(old)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()] == [0o600]
    await spool.aclose()


async def test_a_directory_that_can_not_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    """The message names it and says why."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=rf"the spool directory {tmp_path}/file cannot be used: Not a dir"):
        await Spool.open(tmp_path / "file")
    with pytest.raises(OSError, match=r"the spool directory /proc/spool cannot be used: No such file"):
        await Spool.open(Path("/proc/spool"))


async def test_a_file_system_without_locks_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without flock two processes would take one file; the refused start leaves none behind."""
    monkeypatch.setattr(fcntl, "flock", failing(fcntl.flock, errno.ENOLCK))
    with pytest.raises(OSError, match=r"cannot be used: no lock \(flock\): No locks available"):
        await Spool.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_refused_start_holds_nothing(tmp_path: Path) -> None:
    """The files that it adopted before it failed are free for the next process."""
    for number in range(5):
        await left_behind(tmp_path, numbered(number))
    stray = tmp_path / "1.spool1"
    stray.mkdir()
    with pytest.raises(IsADirectoryError, match=r"1\.spool1"):
        await Spool.open(tmp_path)
    stray.rmdir()
    spool = await Spool.open(tmp_path)
    assert await drained(spool) == numbered(*range(5))
    await spool.aclose()


def held() -> tuple[set[threading.Thread], set[str]]:
    """The spools' threads, and the descriptors that are open."""
    threads = {thread for thread in threading.enumerate() if thread.name == "pushlane-spool"}
    return threads, {path.name for path in Path("/dev/fd").iterdir()}


async def test_neither_a_thread_nor_a_descriptor_is_left(tmp_path: Path) -> None:
    """After a closing, a refused start, and adoptions that met living processes."""
    threads, descriptors = held()
    living = await Spool.open(tmp_path)
    await living.append(b"one")
    spool = await Spool.open(tmp_path)
    before_adoption = held()
    for _ in range(5):
        await spool.adopt()
    assert held() == before_adoption
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        await Spool.open(tmp_path / "file")
    await left_behind(tmp_path, numbered(1))
    await spool.adopt()
    assert await drained(spool) == numbered(1)
    await spool.aclose()
    await living.aclose()
    for thread in held()[0] - threads:
        await asyncio.to_thread(thread.join, 10)
    assert held()[0] <= threads
    assert held()[1] == descriptors


# Crashes

DYING = """
import asyncio, itertools, os, sys
from pathlib import Path
from pushlane.callback.spool import Spool
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
    """Killed in mid-append, three times: all that it had been told is kept is there, in order."""
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
from pushlane.callback.spool import Spool
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
        def called(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
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
    """Before each call that changes the disk, and in the middle of each write; a next process reads what is left."""
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


# Interleavings

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("read"), st.integers(0, 12)),
        st.tuples(st.just("confirm"), st.integers(0, 12)),
        st.tuples(st.just("adopt"), st.just(0)),
        st.tuples(st.just("wait"), st.just(0)),
        st.tuples(st.just("die"), st.integers(1, 3)),
    ),
    max_size=30,
)


class Course:
    """A spool and its model as lists: steps are started one after the other, without waiting for the ones before."""

    def __init__(self, spool: Spool, directory: Path) -> None:
        self.spool = spool
        self.directory = directory
        self.count = 0
        self.dead: list[bytes] = []
        self.adopted: list[bytes] = []
        self.own: list[bytes] = []
        self.handed: list[bytes] = []
        self.under_way: list[asyncio.Task[None]] = []

    async def step(self, step: str, number: int) -> None:
        """One step."""
        match step:
            case "append":
                for payload in self._new(number):
                    self.own.append(payload)
                    self._start(self.spool.append(payload))
            case "read":
                self.handed = [*self.adopted, *self.own][:number]
                self._start(self._read(number, list(self.handed)))
            case "confirm":
                confirmed, self.handed = self.handed[:number], self.handed[number:]
                self.adopted = [payload for payload in self.adopted if payload not in confirmed]
                self.own = [payload for payload in self.own if payload not in confirmed]
                self._start(self.spool.confirm(len(confirmed)))
            case "adopt":
                self.adopted += self.dead
                self.dead.clear()
                self._start(self.spool.adopt())
            case "die":
                await self.wait()
                self.dead += (payloads := self._new(number))
                await left_behind(self.directory, payloads)
            case "wait":
                await self.wait()

    async def wait(self) -> None:
        """Until all of them are done."""
        await asyncio.gather(*self.under_way)
        self.under_way.clear()
        assert self.spool.empty == (not self.adopted and not self.own)

    async def _read(self, most: int, expected: list[bytes]) -> None:
        payloads = await self.spool.read(most)
        assert len(payloads) <= most
        assert payloads[: len(expected)] == expected
        # Appends that were started after it may have shared an fsync with one before it.
        more = payloads[len(expected) :]
        assert more == sorted(more)

    def _new(self, count: int) -> list[bytes]:
        self.count += count
        return numbered(*range(self.count - count, self.count))

    def _start(self, asked: Coroutine[Any, Any, None]) -> None:
        self.under_way.append(asyncio.create_task(asked))


async def run_steps(directory: Path, steps: list[tuple[str, int]]) -> None:
    """Runs a course to its end."""
    spool = await Spool.open(directory)
    course = Course(spool, directory)
    for step, number in [*steps, ("wait", 0), ("adopt", 0), ("wait", 0)]:
        await course.step(step, number)
    assert await drained(spool) == [*course.adopted, *course.own]
    await spool.aclose()
    assert list(directory.iterdir()) == []


@given(STEPS)
def test_it_is_a_list_however_its_operations_interleave(steps: list[tuple[str, int]]) -> None:
    """Appends, reads, confirmations and adoptions at once: each sees what was asked for before it."""
    with tempfile.TemporaryDirectory() as directory, mock.patch("os.fsync"):
        asyncio.run(run_steps(Path(directory), steps))


@given(st.lists(st.tuples(st.sampled_from(["append", "feed", "die"]), st.integers(1, 6)), max_size=40))
def test_small_files_and_deaths_lose_nothing_and_repeat_only_what_was_fed(steps: list[tuple[str, int]]) -> None:
    """Files are retired and read again after a death: what comes back is an unbroken end of what was kept."""
    with tempfile.TemporaryDirectory() as name, mock.patch("os.fsync"):
        directory = Path(name)
        files = Files(directory, 8 * FRAME)
        kept: list[bytes] = []
        confirmed = 0
        for step, number in [*steps, ("die", 1)]:
            match step:
                case "append":
                    payloads = numbered(*range(len(kept), len(kept) + number))
                    fits = files.append(payloads)
                    assert sum(fits) == number or len(kept) + number - confirmed > 4, "less than half full is not full"
                    kept += [payload for payload, fit in zip(payloads, fits, strict=True) if fit]
                case "feed":
                    payloads = files.read(number)
                    assert payloads == kept[confirmed : confirmed + number]
                    files.confirm(len(payloads))
                    confirmed += len(payloads)
                case "die":
                    for file in files._all:
                        os.close(file.fd)
                    files = Files(directory, 8 * FRAME)
                    again = files.read(1000)
                    assert again == kept[len(kept) - len(again) :]
                    assert len(again) >= len(kept) - confirmed
                    confirmed = len(kept) - len(again)
            assert files.empty == (confirmed == len(kept))
        files.confirm(len(again))
        files.close()
        assert list(directory.iterdir()) == []
