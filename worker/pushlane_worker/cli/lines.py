"""Reads messages from a file of JSON lines, in constant memory."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from pushlane.enqueue_protocol import CHUNK
from pushlane.errors import InvalidMessage
from pushlane.message import Limits
from pushlane.message_json import Form, parse

MAX_LINE_BYTES = 1024 * 1024
"""More than a 64 KiB message takes in JSON even with every byte escaped."""


Line = tuple[int, Form]
"""A line's number, counted from 1, and its message."""


def read(file: BinaryIO, limits: Limits, on_bytes: Callable[[int], None]) -> Iterator[Line]:
    """The messages from here to the end of the file, each checked against the limits. Blank lines are skipped.

    ``on_bytes`` is called with the length of each line.

    Raises:
        InvalidMessage: A line is not a valid message; ``field`` names the line and the field.
    """
    for number, data in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
        on_bytes(len(data))
        if data.strip():
            yield number, _form(number, data, limits)


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines in batches for one script call each; a batch is fully read and checked before it is yielded."""
    rest = iter(lines)
    while batch := list(islice(rest, CHUNK)):
        yield batch


def _form(number: int, data: bytes, limits: Limits) -> Form:
    if len(data) > MAX_LINE_BYTES:
        raise InvalidMessage(f"line {number}", f"takes more than {MAX_LINE_BYTES} bytes", limit=MAX_LINE_BYTES)
    try:
        form = parse(data)
        limits.check(form.message)
    except InvalidMessage as error:
        raise InvalidMessage(f"line {number}: {error.field}", error.problem, limit=error.limit) from None
    return form
