"""Lines of the log."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from pushlane.logs import MAX_FACT_CHARS, configure, logger, make_writer, request_log

TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
COLOURS = re.compile(r"\x1b\[\d+m")
FACTS = {"method": "POST", "path": "/a b", "status": 200, "ms": 1.5}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where standard error goes."""
    file = (tmp_path / "log").open("w")
    monkeypatch.setattr(sys, "__stderr__", file)
    yield tmp_path / "log"
    file.close()
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_requests_line_looks_like_every_other(written: Path, log_format: str) -> None:
    """It is made another way, which takes a tenth of the time."""
    writer = make_writer(log_format)
    configure(log_format, "INFO", writer)
    logger().info("request", **FACTS)
    request_log(log_format, "INFO", writer)("POST", b"/a b", 200, 0.00151)
    writer.close()
    one, other = TIMES.sub("T", written.read_text()).splitlines()
    if log_format == "json":
        one, other = (str(sorted(line.strip("{}").split(", "))) for line in (one, other))
    assert one == other


def test_a_level_above_info_leaves_requests_out(written: Path) -> None:
    """As it does with every other line of this level."""
    writer = make_writer("text")
    request_log("text", "WARNING", writer)("GET", b"/", 200, 0.1)
    writer.close()
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


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_long_fact_is_cut(written: Path, log_format: str) -> None:
    """A path or a name of a megabyte is no line."""
    writer = make_writer(log_format)
    configure(log_format, "INFO", writer)
    logger().info("refused", command="c" * 10**6)
    request_log(log_format, "INFO", writer)("POST", b"/" + b"p" * 10**6, 200, 0.1)
    writer.close()
    assert [len(line) < MAX_FACT_CHARS + 200 for line in written.read_text().splitlines()] == [True, True]
