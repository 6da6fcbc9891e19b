"""Lines of the log."""

import asyncio
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send

from pushlane.callback.http.access_log import AccessLog
from pushlane.service.logs import MAX_FACT_CHARS, configure, logger, make_writer

TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
COLOURS = re.compile(r"\x1b\[\d+m")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where standard error goes."""
    file = (tmp_path / "log").open("w")
    monkeypatch.setattr(sys, "__stderr__", file)
    yield tmp_path / "log"
    file.close()
    structlog.reset_defaults()


def serve(raw_path: bytes, status: int = 200) -> None:
    """A request through the access log."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status})

    async def receive() -> Message:
        raise NotImplementedError

    async def send(_: Message) -> None:
        return None

    scope = {"type": "http", "method": "POST", "raw_path": raw_path, "query_string": b"Sign=secret"}
    asyncio.run(AccessLog(app, lambda: None)(scope, receive, send))


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        ("text", "T [info     ] request                        method=POST ms=N path='/a b%20%C3' status=401\n"),
        (
            "json",
            (
                '{"method": "POST", "path": "/a b%20%C3", "status": 401, "ms": N, "event": "request", "level": "info",'
                ' "timestamp": "T"}\n'
            ),
        ),
    ],
)
def test_a_requests_line_looks_like_every_other(written: Path, log_format: str, line: str) -> None:
    """It has the path as it was sent, and no query, which holds a signature."""
    configure(log_format, "INFO")
    serve(b"/a b%20%C3", 401)
    assert re.sub(r"\b\d+\.\d\b", "N", TIMES.sub("T", written.read_text())) == line


def test_a_level_above_info_leaves_requests_out(written: Path) -> None:
    """As it does with every other line of this level."""
    configure("text", "WARNING")
    serve(b"/")
    assert not written.read_text()


def test_a_closed_standard_error_costs_the_line_alone(written: Path) -> None:
    """The work that the line is about goes on."""
    assert sys.__stderr__ is not None
    sys.__stderr__.close()
    configure("text", "INFO")
    logger().info("lost")
    assert not written.read_text()


HOSTILE = "\x1b]0;title\x07\x1b[31m\r\nforged [info     ] line\u202e\x9b2J\ud800"


class Terminal(io.StringIO):
    """A standard error that says it is one."""

    def isatty(self) -> bool:
        """So colours are used."""
        return True


@pytest.mark.parametrize("log_format", ["text", "json", "terminal"])
def test_no_fact_steers_a_terminal_or_begins_a_line(
    written: Path, monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    """Strangers choose some of them, such as a command's name."""
    if log_format == "terminal":
        monkeypatch.setattr(sys, "stderr", Terminal())
    configure("json" if log_format == "json" else "text", "INFO")
    logger().info("refused", command=HOSTILE, names=[HOSTILE], exception=f"first\n{HOSTILE}")
    text = COLOURS.sub("", written.read_text())
    first, *more = text.splitlines()
    assert len(more) == (0 if log_format == "json" else 3)  # the three of the exception
    assert all(line.isprintable() for line in [first, *more])
    assert all(line.startswith(" ") for line in more)


def test_an_exception_of_one_line_is_indented_too(written: Path) -> None:
    """Libraries hand over the rest of their message, which may look like a line of ours."""
    configure("text", "INFO")
    logger().warning("library.line", exception="forged [info     ] line")
    assert written.read_text().splitlines()[1] == "  forged [info     ] line"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_long_fact_is_cut(written: Path, log_format: str) -> None:
    """A path or a name of a megabyte is no line."""
    writer = make_writer(log_format)
    configure(log_format, "INFO", writer)
    logger().info("refused", command="c" * 10**6)
    serve(b"/" + b"p" * 10**6)
    writer.close()
    assert [len(line) < MAX_FACT_CHARS + 200 for line in written.read_text().splitlines()] == [True, True]
