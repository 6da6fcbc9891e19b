"""Structured logs: stable dotted event names with key-values, never a text and never a token."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

_QUOTED = frozenset(" =\"'")
Logger = structlog.typing.FilteringBoundLogger


def configure(log_format: str, log_level: str) -> None:
    """Sends the logs of this process to standard error, in this form and from this level."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _renderer(log_format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log_level)),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )


def request_log(log_format: str, log_level: str) -> Callable[[str, str, int, float], None]:
    """What writes a request's line: method, path, status, ms. As ``configure`` would have it, in a quarter of its time.

    To be called in an event loop: the lines of one of its rounds are written together, with one time, at its end.
    """
    if getattr(logging, log_level) > logging.INFO:
        return lambda *_: None
    render, write = _renderer(log_format), _Lines().msg
    waiting: list[tuple[str, str, int, float]] = []

    def line(timestamp: str, method: str, path: str, status: int, ms: float) -> str:
        facts = {"method": method, "path": path, "status": status, "ms": ms}
        return str(render(None, "", {**facts, "event": "request", "level": "info", "timestamp": timestamp}))

    def plain(start: str, method: str, path: str, status: int, ms: float) -> str:
        return f"{start} method={method} ms={ms} path={_shown(path)} status={status}"

    def flush() -> None:
        timestamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if render is _plain:
            start = _start(timestamp, "info", "request")
            lines = [plain(start, *facts) for facts in waiting]
        else:
            lines = [line(timestamp, *facts) for facts in waiting]
        waiting.clear()
        write("\n".join(lines))

    def log(*facts: Any) -> None:  # noqa: ANN401 # those of the signature
        if not waiting:
            asyncio.get_running_loop().call_soon(flush)
        waiting.append(facts)

    return log


def _renderer(log_format: str) -> Any:  # noqa: ANN401 # a processor of structlog
    if log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=True) if sys.stderr.isatty() else _plain


def _plain(_logger: object, _name: str, facts: MutableMapping[str, Any]) -> str:
    """The line that structlog's ConsoleRenderer makes without colours, in a quarter of its time."""
    exception = facts.pop("exception", None)
    start = _start(facts.pop("timestamp"), facts.pop("level"), facts.pop("event"))
    line = " ".join([start, *(f"{name}={_shown(facts[name])}" for name in sorted(facts))])
    return line if exception is None else f"{line}\n{exception}"


def _start(timestamp: str, level: str, event: str) -> str:
    return f"{timestamp} [{level:<9}] {event:<30}"


def _shown(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and not _QUOTED.intersection(value):
        return value
    return repr(value)


class _Lines:
    """Writes lines to the real standard error; Celery replaces ``sys.stderr`` by a logger of its own in its workers.

    A full disk or a closed pipe costs the line, never the work that it tells of.
    """

    def __init__(self, *_: object) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError, ValueError):  # it is closed
            self._file = sys.__stderr__.fileno() if sys.__stderr__ else None

    def msg(self, message: str) -> None:
        """Writes one line, at once: no other process's line comes in between."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.write(self._file, f"{message}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = exception = msg


def logger() -> Logger:
    """A logger for this process."""
    log: Logger = structlog.get_logger()
    return log
