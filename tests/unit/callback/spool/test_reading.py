"""What was appended is read in order until it is confirmed."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import asyncio
import os
import tracemalloc
from pathlib import Path

import pytest
from support.spool import FRAME, HEAD, drained, keep, left_behind, numbered

from pushlane.callback.decisions.spool import Spool


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
    """Closing deletes the file when nothing waits in it; closing twice does no harm."""
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
    """A late decision gets an error at once, and does not wait for ever."""
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


async def test_it_knows_how_much_is_left(tmp_path: Path) -> None:
    """Bytes with their heads, and payloads; also of what a dead process has left, whose end may be torn."""
    with (await left_behind(tmp_path, [b"", *numbered(1, 2)])).open("ab") as file:
        file.write(b"\x00\x00\x01\x00torn" + bytes(100))
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(3))
    assert spool.left == (HEAD + 3 * FRAME + 108, 4)
    assert len(await spool.read(9)) == 4
    assert spool.left == (HEAD + 3 * FRAME, 4)
    await spool.confirm(2)
    assert spool.left == (2 * FRAME, 2)
    await spool.confirm(2)
    assert spool.left == (0, 0)
    await keep(spool, numbered(5))
    assert spool.left == (FRAME, 1)
    await spool.aclose()
