"""A torn or damaged file costs only what cannot be read, and stops nothing."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.spool import FRAME, HEAD, drained, keep, left_behind, numbered

from pushlane.callback.decisions.spool import Spool


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


@pytest.mark.parametrize("rest", range(FRAME))
async def test_a_torn_frame_is_left_out(tmp_path: Path, rest: int) -> None:
    """A process died in mid-write: every append that had returned is there."""
    assert await read_after(tmp_path, lambda file: file[: 2 * FRAME + rest]) == (numbered(1, 2), rest)


@pytest.mark.parametrize("position", range(FRAME))
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
async def test_a_frame_with_a_flipped_byte_is_left_out(tmp_path: Path, position: int, flip: int) -> None:
    """Also in its length, whether that makes it longer or shorter."""

    def damage(file: bytes) -> bytes:
        at = 2 * FRAME + position
        return file[:at] + bytes([file[at] ^ flip]) + file[at + 1 :]

    assert await read_after(tmp_path, damage) == (numbered(1, 2), FRAME)


@pytest.mark.parametrize("frames", [0, 1, 2])
async def test_nothing_behind_a_damaged_frame_is_read(tmp_path: Path, frames: int) -> None:
    """Where the next frame begins is not known; all that is left out is counted, and set aside for a person."""

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
    """A power cut may leave a file longer than what was written to it: that makes no empty payload."""
    assert await read_after(tmp_path, lambda file: file + bytes(zeros)) == (numbered(1, 2, 3), zeros)


async def test_an_empty_file_is_deleted(tmp_path: Path) -> None:
    """Its process died before its first append."""
    assert await read_after(tmp_path, lambda _: b"") == ([], 0)
    assert list(tmp_path.iterdir()) == []


def damage_second(tmp_path: Path) -> tuple[Path, bytearray]:
    """Damages the second frame of the only file; returns the file and what is in it then."""
    [file] = tmp_path.iterdir()
    damaged = bytearray(file.read_bytes())
    damaged[FRAME + 5] ^= 0x10
    file.write_bytes(damaged)
    return file, damaged


async def test_damage_to_our_own_file_costs_no_later_payload(tmp_path: Path) -> None:
    """What is appended then goes to another file, and the damaged one is set aside as it is."""
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(1, 2, 3))
    file, damaged = damage_second(tmp_path)
    assert await spool.read(9) == numbered(1)
    assert spool.left_out == 2 * FRAME
    await spool.append(b"next")
    await spool.confirm(1)
    assert await drained(spool) == [b"next"]
    assert spool.left_out == 2 * FRAME, "counted once"
    await spool.aclose()
    [aside] = tmp_path.iterdir()
    assert aside.name == f"{file.name}.damaged"
    assert aside.read_bytes() == damaged


async def test_our_own_damaged_file_is_set_aside_even_if_nothing_is_appended_to_it(tmp_path: Path) -> None:
    """What could be read is fed, and the rest stays for a person: the file is not emptied."""
    spool = await Spool.open(tmp_path)
    await keep(spool, numbered(1, 2, 3))
    file, damaged = damage_second(tmp_path)
    assert await drained(spool) == numbered(1)
    assert spool.empty
    [aside] = tmp_path.iterdir()  # at once: after a crash another process would feed it again
    assert aside.name == f"{file.name}.damaged"
    assert aside.read_bytes() == damaged
    await keep(spool, numbered(4))
    assert await drained(spool) == numbered(4)
    await spool.aclose()
    assert list(tmp_path.iterdir()) == [aside]
