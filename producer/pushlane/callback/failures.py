"""Logs failures: the kind of error and where it was raised, never its message.

Errors of policies and of routing quote what people write: that of ``float(message.text)`` contains the text.
"""

from __future__ import annotations

from collections import deque
from traceback import walk_tb
from typing import Final, Self

from pushlane.service.logs import logger

MAX_FRAMES: Final = 20
"""An endless recursion has a thousand, and the innermost ones are enough."""


class Failure(Exception):
    """An error of another process: its type, and the frames of its stack."""

    def __init__(self, kind: str, frames: str) -> None:
        self.kind = kind
        self.frames = frames
        super().__init__(kind)

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """What may be logged of an error: file, line and function, but never its message."""
        frames = deque(walk_tb(error.__traceback__), MAX_FRAMES)
        lines = (f'  File "{one.f_code.co_filename}", line {line}, in {one.f_code.co_name}' for one, line in frames)
        return cls(type(error).__qualname__, "\n".join(lines))


def log_failure(event: str, error: BaseException, **facts: object) -> None:
    """Logs an error by its type and the frames of its stack."""
    failure = error if isinstance(error, Failure) else Failure.of(error)
    logger().error(event, error=failure.kind, exception=failure.frames, **facts)
