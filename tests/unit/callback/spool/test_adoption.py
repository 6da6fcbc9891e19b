"""What dead processes left is fed by a living one, each file by one of them."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import contextlib
import fcntl
import os
from pathlib import Path

import pytest
from support.spool import HEAD, drained, keep, left_behind, numbered, run

from pushlane.callback.decisions.spool import Spool
from pushlane.callback.decisions.spool_files import File


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
    """A confirmation means what was read, not what comes first by then."""
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
from pushlane.callback.decisions.spool import Spool
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
    """Even while the first ones delete what the others are about to lock."""
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
        assert File.adopt(file) is None
    assert File.adopt(file) is None, "gone before it is opened"


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


async def test_a_file_that_cannot_be_opened_keeps_no_other_from_adoption(tmp_path: Path) -> None:
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
    """What is appended from then on is where the next process finds it, and we still feed what was in it."""
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
