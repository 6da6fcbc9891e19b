"""What has failed, for the log: what kind of error and where, never what it says.

Errors of policies and of routing quote what people write: that of ``float(message.text)`` is the text.
"""

from __future__ import annotations

from collections import deque
from traceback import walk_tb
from typing import Final

from pushlane.logs import logger

MAX_FRAMES: Final = 20
"""An endless recursion has a thousand, and the innermost ones tell it all."""


def log_failure(event: str, error: BaseException, **facts: object) -> None:
    """Logs an error by its type and the frames of its stack: file, line and function."""
    frames = deque(walk_tb(error.__traceback__), MAX_FRAMES)
    lines = (f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}' for frame, line in frames)
    logger().error(event, error=type(error).__qualname__, exception="\n".join(lines), **facts)
