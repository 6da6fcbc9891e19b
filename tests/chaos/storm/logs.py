"""Tracebacks in the logs of a storm, but for those that libraries print of a connection that broke."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGINS: Final = "Traceback (most recent call last):"
_ENDS: Final = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Failure|Group|Lost\w*))(?::|$)")
_BROKEN: Final = frozenset(
    [
        "redis.exceptions.ConnectionError",
        "redis.exceptions.TimeoutError",
        "redis.exceptions.BusyLoadingError",
        "kombu.exceptions.OperationalError",
        "ConnectionResetError",
        "ConnectionRefusedError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "TimeoutError",
        "EOFError",
    ]
)
"""Celery prints these whole each time that it loses its broker."""
_KILLED: Final = "billiard.exceptions.WorkerLostError"
"""Celery prints this for a pool's process that the storm has killed."""


def tracebacks(log: Path) -> Iterator[str]:
    """Each traceback that is none of those: the log's name and the traceback's last line."""
    open_ = False
    for line in log.read_text(errors="replace").splitlines():
        if line.strip() == BEGINS:
            open_ = True
        elif open_ and (ended := _ENDS.match(line)):
            open_ = False
            if ended[1] not in {*_BROKEN, _KILLED}:
                yield f"{log.name}: {line[:300]}"
    if open_:
        yield f"{log.name}: a traceback that does not end"
