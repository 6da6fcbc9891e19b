"""The spool is bounded on disk and in memory, and a hanging disk blocks nobody."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import asyncio
import os
from pathlib import Path

import pytest
from support.spool import FRAME, drained, hanging_disk, keep, numbered

from pushlane.callback.decisions.spool import MAX_PENDING_BYTES, Spool, SpoolFull


async def test_a_full_spool_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    """What fits is kept, even behind what does not fit; feeding makes room again."""
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
    """New decisions go behind old ones while one waits, so it may take long until the whole file is fed."""
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


async def test_a_disk_that_hangs_costs_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers give up, and their payloads go on waiting; those beyond the bound are refused at once."""
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
    """After a power cut a file without a name is lost; true of the first one and of one that replaces it."""
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
