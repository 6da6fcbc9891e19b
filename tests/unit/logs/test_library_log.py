"""What libraries log."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from pushlane.callback.http.library_log import take_over
from pushlane.service.logs import configure

SECRET = "what alice wrote"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where standard error goes, with libraries' lines as JSON."""
    kept = logging.getLogger().handlers
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "__stderr__", file)
        configure("json", "INFO")
        take_over()
        yield tmp_path / "log"
    logging.getLogger().handlers = kept
    structlog.reset_defaults()


def line(written: Path) -> dict[str, Any]:
    """The one line that was written."""
    told: dict[str, Any] = json.loads(written.read_text())
    del told["timestamp"]
    return told


def test_a_librarys_line_has_the_configured_form(written: Path) -> None:
    """Whoever reads JSON can read all of the log."""
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request %s.", "received")
    facts = {"logger": "uvicorn.error", "message": "Invalid HTTP request received."}
    assert line(written) == {"event": "library.line", "level": "warning", **facts}


def test_a_librarys_information_is_left_out(written: Path) -> None:
    """As it is without a handler."""
    logging.getLogger("uvicorn.error").info("Started server process")
    assert not written.read_text()


def test_an_error_is_told_without_what_it_says(written: Path) -> None:
    """It may quote what people write."""
    try:
        float(SECRET)
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: %s", SECRET)
    told = line(written)
    assert (told["error"], told["message"]) == ("ValueError", "Task exception was never retrieved")
    assert "test_library_log.py" in told["exception"]
    assert SECRET not in written.read_text()


def test_more_lines_of_a_message_are_kept(written: Path) -> None:
    """The traceback of an app that cannot start comes so."""
    logging.getLogger("uvicorn.error").error("Traceback:\n  in f\nKeyError")
    assert line(written)["exception"] == "  in f\nKeyError"


def test_a_line_that_cannot_be_made_stops_nobody(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments that do not fit are reported on standard error, as by any handler of logging."""
    record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 1, "%d", ("no number",), None)
    logging.getLogger().handlers[0].handle(record)
    assert not written.read_text()
    assert "Logging error" in capsys.readouterr().err
