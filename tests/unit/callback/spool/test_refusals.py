"""A disk or a directory that refuses costs nothing that was kept before."""

# ruff: noqa: ASYNC240 # a test has its event loop to itself, and may look at the disk on it

import asyncio
import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest
from support.spool import FRAME, HEAD, drained, failing, keep, left_behind, numbered, run

from pushlane.callback.decisions.spool import Spool


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
async def test_what_stood_before_a_refused_append_is_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Every append of the batch gets the error, the file is cut back, and the next ones are kept."""
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
from pushlane.callback.decisions.spool import Spool
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


async def test_a_fed_file_that_cannot_be_deleted_is_deleted_later(
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
        await spool.append("text")  # type: ignore[arg-type] # that is the error
    with pytest.raises(TypeError):
        await spool.read("many")  # type: ignore[arg-type] # that is the error
    await spool.append(b"one")
    assert await drained(spool) == [b"one"]
    await spool.aclose()


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


async def test_a_directory_that_cannot_be_used_is_reported_at_the_start(tmp_path: Path) -> None:
    """The message names it and says why."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=rf"the spool directory {tmp_path}/file cannot be used: Not a dir"):
        await Spool.open(tmp_path / "file")
    with pytest.raises(OSError, match=r"the spool directory /proc/spool cannot be used: No such file"):
        await Spool.open(Path("/proc/spool"))


async def test_a_file_system_without_locks_is_reported_at_the_start(
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
