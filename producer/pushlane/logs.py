"""Structured logs: stable dotted event names with key-values, never a message's text and never a token."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any

import structlog

from pushlane.log_writer import LogWriter

MAX_FACT_CHARS = 500
"""How much of a value is logged: a request's path or a command's name comes from outside."""
MAX_EXCEPTION_CHARS = 20_000
_QUOTED = frozenset(" =\"'")
Logger = structlog.typing.FilteringBoundLogger


def configure(log_format: str, log_level: str, writer: LogWriter | None = None) -> None:
    """Sends the logs of this process to standard error, in this format and from this level; directly or by a writer."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _cut,
            _renderer(log_format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, log_level)),
        logger_factory=_Lines if writer is None else lambda *_: writer,
        cache_logger_on_first_use=True,
    )


def make_writer(log_format: str) -> LogWriter:
    """A writer to the real standard error."""

    def left_out(count: int) -> str:
        return _line(_renderer(log_format), "warning", time.time(), "log.left_out", count=count)

    return LogWriter(_standard_error(), left_out)


def request_log(log_format: str, log_level: str, writer: LogWriter) -> Callable[[str, bytes, int, float], None]:
    """A function that logs a request's method, path, status and seconds; the writer's thread makes the line.

    The path is written undecoded, and a long one is cut. The line looks like any other.
    """
    if getattr(logging, log_level) > logging.INFO:
        return lambda *_: None
    render = _renderer(log_format)

    def line(at: float, method: str, raw_path: bytes, status: int, took_s: float) -> str:
        ms, path = round(took_s * 1000, 1), _shortened(raw_path.decode("ascii", errors="replace"))
        if render is _plain:  # the same line in a quarter of the time
            start = _start(_stamp(at), "info", "request")
            return f"{start} method={method} ms={ms} path={_shown(path)} status={status}"
        return _line(render, "info", at, "request", method=method, path=path, status=status, ms=ms)

    def log(method: str, raw_path: bytes, status: int, took_s: float) -> None:
        writer.put(line, time.time(), method, raw_path, status, took_s)

    return log


def _line(render: Any, level: str, at: float, event: str, **facts: object) -> str:  # noqa: ANN401 # a processor of structlog
    return str(render(None, "", {**facts, "event": event, "level": level, "timestamp": _stamp(at)}))


def _stamp(at: float) -> str:
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1e6):06}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _renderer(log_format: str) -> Any:  # noqa: ANN401 # a processor of structlog
    if log_format == "json":
        return structlog.processors.JSONRenderer()
    return _coloured if sys.stderr.isatty() else _plain


def _cut(_logger: object, _name: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, fact in facts.items():
        if isinstance(fact, str):
            facts[name] = _shortened(fact, MAX_EXCEPTION_CHARS if name == "exception" else MAX_FACT_CHARS)
    return facts


def _shortened(text: str, most: int = MAX_FACT_CHARS) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


_CONSOLE = structlog.dev.ConsoleRenderer(colors=True)


def _coloured(log: object, name: str, facts: MutableMapping[str, Any]) -> str:
    """For a terminal: characters that would control it, or change the direction of text, are escaped."""
    return str(_CONSOLE(log, name, {name: _escaped(fact, name) for name, fact in facts.items()}))


def _escaped(fact: object, name: str) -> object:
    if not isinstance(fact, str) or fact.isprintable():
        return fact
    return _lines(fact) if name == "exception" else _printable(fact)


def _lines(text: str) -> str:
    # Indented, so that none of them passes for a line of the log.
    return "\n".join(f"  {_printable(line)}" for line in text.split("\n"))


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _plain(_logger: object, _name: str, facts: MutableMapping[str, Any]) -> str:
    """The line that structlog's ConsoleRenderer makes without colours, in a quarter of the time."""
    exception = facts.pop("exception", None)
    start = _start(facts.pop("timestamp"), facts.pop("level"), facts.pop("event"))
    line = " ".join([start, *(f"{name}={_shown(facts[name])}" for name in sorted(facts))])
    return line if exception is None else f"{line}\n{_lines(exception)}"


def _start(timestamp: str, level: str, event: str) -> str:
    return f"{timestamp} [{level:<9}] {event:<30}"


def _shown(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and not _QUOTED.intersection(value):
        return value
    return repr(value)


def _standard_error() -> int | None:
    """The real one: in its workers, Celery replaces ``sys.stderr`` with a logger."""
    with contextlib.suppress(OSError, ValueError):  # it is closed
        return sys.__stderr__.fileno() if sys.__stderr__ else None
    return None


class _Lines:
    """Writes lines to standard error.

    A full disk or a closed pipe loses the line, and never disturbs the work that it reports.
    """

    def __init__(self, *_: object) -> None:
        self._file = _standard_error()

    def msg(self, message: str) -> None:
        """Writes one line in one piece, with no other process's line in between."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.write(self._file, f"{message}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = exception = msg


def logger() -> Logger:
    """A logger for this process."""
    log: Logger = structlog.get_logger()
    return log
