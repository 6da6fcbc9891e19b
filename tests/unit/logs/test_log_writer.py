"""The log's thread: who logs never waits for who reads."""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from support.waiting import wait_until

from pushlane.service.log_writer import MAX_WAITING, WRITE_BYTES, LogWriter

PIPE_BYTES = 1 << 20
"""More than a pipe holds."""


def told(count: int) -> str:
    """The line of those that were left out."""
    return f"left out: {count}"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nobody reads yet."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        os.close(end)


def test_a_reader_that_stalls_stops_nobody(pipe: tuple[int, int]) -> None:
    """What it does not take is left out beyond a bound, and counted in its place among the other lines."""
    reader, file = pipe
    log = LogWriter(file, told)
    log._waiting.append("x" * PIPE_BYTES)
    log.msg("y")  # wakes the thread, which goes about both
    wait_until(lambda: not select.select([], [file], [], 0)[1], "the thread to be held by its reader")
    for number in range(MAX_WAITING + 5):  # returns, though nobody reads
        log.msg(str(number))
    read = threading.Thread(target=lambda: text.extend(_until(reader, b"left out: ")))
    text = bytearray()
    read.start()
    wait_until(lambda: not read.is_alive(), "the note of what was left out")
    log.msg("later")
    later = _until(reader, b"later")
    log.close()
    assert text.decode().splitlines()[1:] == ["y", *map(str, range(MAX_WAITING)), told(5)]
    assert later == b"later\n"


def test_what_is_left_out_is_counted_ahead_of_what_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be room again before the thread has come as far as the lines that are missing."""
    monkeypatch.setattr("pushlane.service.log_writer.MAX_WAITING", 3)
    monkeypatch.setattr("pushlane.service.log_writer.WRITE_BYTES", 4)  # a line is a piece
    written: list[bytes] = []
    takes = threading.Semaphore(0)

    def write(_: int, piece: bytes) -> int:
        written.append(piece)
        takes.acquire()
        return len(piece)

    monkeypatch.setattr(os, "write", write)
    log = LogWriter(2, told)
    log.msg("one")
    wait_until(lambda: written == [b"one\n"], "the thread to be held by its reader")
    for line in ("two", "three", "four", "lost", "lost"):
        log.msg(line)
    takes.release()
    wait_until(lambda: written[1:] == [b"two\n"], "the next piece")
    log.msg("five")
    takes.release(10)
    log.close()
    assert b"".join(written).decode().splitlines() == ["one", "two", "three", "four", told(2), "five"]


def test_what_came_during_the_last_write_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing it waits for that, too."""
    written: list[bytes] = []
    writes, goes_on = threading.Event(), threading.Event()

    def write(_: int, piece: bytes) -> int:
        written.append(piece)
        writes.set()
        goes_on.wait(10)
        return len(piece)

    monkeypatch.setattr(os, "write", write)
    log = LogWriter(2, told)
    log.msg("one")
    assert writes.wait(10)
    log.msg("two")
    threading.Timer(0.1, goes_on.set).start()
    log.close()
    assert written == [b"one\n", b"two\n"]


def test_one_that_was_closed_while_its_reader_stalled_writes_again(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another thread: the first one is held by what nobody reads."""
    monkeypatch.setattr("pushlane.service.log_writer.CLOSE_S", 0.1)
    reader, file = pipe
    log = LogWriter(file, told)
    for _ in range(PIPE_BYTES // 1000):
        log.msg("x" * 999)
    wait_until(lambda: not select.select([], [file], [], 0)[1], "the pipe to be full")
    log.close()
    read = threading.Thread(target=_until, args=(reader, b"the last line"))
    read.start()
    log.msg("the last line")
    wait_until(lambda: not read.is_alive(), "the last line")
    log.close()


def test_lines_are_written_whole_and_many_at_once(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write is of whole lines and no larger than what a pipe takes in one piece."""
    _, file = pipe
    writes: list[bytes] = []

    def write(_: int, piece: bytes) -> int:
        writes.append(piece)
        return len(piece)

    monkeypatch.setattr(os, "write", write)
    log = LogWriter(file, told)
    for number in range(1000):
        log.msg(f"line {number} of 1000")
    log.msg("x" * 2 * WRITE_BYTES)
    log.close()
    assert b"".join(writes) == b"".join(b"line %d of 1000\n" % number for number in range(1000)) + b"x" * 8192 + b"\n"
    assert len(writes) < 20
    assert all(piece.endswith(b"\n") and len(piece) <= WRITE_BYTES for piece in writes[:-1])


@pytest.mark.parametrize(
    ("end", "lines"),
    [
        ("", ["before", "parent"]),
        ("if not os.fork(): log.msg('child'); log.close(); os._exit(0)\nos.wait()", ["before", "child", "parent"]),
        ("log.close()", ["before", "parent"]),
    ],
)
def test_each_process_writes_its_own_lines_and_none_twice(end: str, lines: list[str]) -> None:
    """Also those that waited at a fork, and what waits at the end of the process."""
    code = "import os\nfrom pushlane.service.log_writer import LogWriter\nlog = LogWriter(2, str)\n"
    code += f"log.msg('before')\n{end}\n"
    code += "log.msg('parent')\n"
    process = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert sorted(process.stderr.splitlines()) == lines


@pytest.mark.parametrize("file", [None, 1_000_000])
def test_a_file_that_can_not_be_written_costs_the_lines_alone(file: int | None) -> None:
    """Its thread does not die of it, and ends when it should."""
    log = LogWriter(file, told)
    log.msg("lost")
    log.close()
    assert not any(thread.name == "pushlane-log" for thread in threading.enumerate())


def _until(reader: int, end: bytes) -> bytes:
    text = b""
    while end not in text:
        text += os.read(reader, 1 << 16)
    while not text.endswith(b"\n"):
        text += os.read(reader, 1 << 16)
    return text
