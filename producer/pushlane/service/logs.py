"""Structured logs: stable dotted event names with key-values, never a message's text and never a token."""

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from pushlane import tracing
from pushlane.service.log_writer import LogWriter
from pushlane.service.printable import escaped

MAX_FACT_CHARS = 500
"""How much of a value is logged: a request's path or a command's name comes from outside."""
MAX_EXCEPTION_CHARS = 20_000
_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
Logger = structlog.typing.FilteringBoundLogger


def configure(log_format: str, log_level: str, writer: LogWriter | None = None) -> None:
    """Sends the logs of this process to standard error, in this format and from this level; directly or by a writer."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _STAMP,
            *([_add_trace] if tracing.INSTALLED and tracing.is_wanted() else []),
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
    render = _renderer(log_format)

    def left_out(count: int) -> str:
        return str(render(None, "", _STAMP(None, "", {"count": count, "event": "log.left_out", "level": "warning"})))

    return LogWriter(_standard_error(), left_out)


def _renderer(log_format: str) -> structlog.typing.Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer()
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())

    def text(log: object, name: str, facts: MutableMapping[str, Any]) -> str:
        return console(log, name, {name: _readable(fact, name) for name, fact in facts.items()})

    return text


def _add_trace(_logger: object, _name: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The current span, in a line that is written within one."""
    facts.update(tracing.log_ids())
    return facts


def _cut(_logger: object, _name: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, fact in facts.items():
        most = MAX_EXCEPTION_CHARS if name == "exception" else MAX_FACT_CHARS
        if isinstance(fact, str) and len(fact) > most:
            facts[name] = f"{fact[:most]}…"
    return facts


def _readable(fact: object, name: str) -> object:
    """Escapes what would control a terminal, or change the direction of text."""
    if not isinstance(fact, str):
        return fact
    if name == "exception":  # indented, so that none of its lines passes for a line of the log
        return "\n".join(f"  {escaped(line)}" for line in fact.split("\n"))
    return escaped(fact)


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
