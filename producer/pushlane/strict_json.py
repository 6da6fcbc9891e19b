"""JSON from outside: parsed strictly, in bounded time and memory.

Strict means that no two parsers can disagree about a document: UTF-8, no duplicate names, only finite numbers. Bounded
means that a document with too many values is refused before they become Python objects: 4 MiB of ``{}`` would take
100 MB and block the interpreter for half a second.
"""

from __future__ import annotations

import json
import re
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_CHARS: Final = 1024 * 1024
"""Of one document, or one element of a list: more than 64 KiB take in JSON with every byte escaped."""
MAX_VALUES: Final = 10_000
"""Of the same: at least 3 ms and 2 MB. The platform's messages have 12 KB, so at most 6,000 fit into one."""
MAX_LIST_VALUES: Final = 50_000
"""Of all elements of a list together: 50 in each of 1,000 messages."""
MAX_DEPTH: Final = 200
"""Lists and objects within each other. Python's own limit depends on the caller's stack."""

_FIRST_WINDOW: Final = 1024
_EXACT_FROM: Final = 100
_BLANK: Final = re.compile(r"[ \t\n\r]*")
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


class NotStrictJson(ValueError):
    """The document is not strict JSON. The message quotes nothing of it.

    Attributes:
        name: The duplicate name, which comes from outside; None for any other problem.
        index: The index of the list element at fault; None outside a list.
    """

    def __init__(self, problem: str, *, name: str | None = None) -> None:
        super().__init__(problem)
        self.name = name
        self.index: int | None = None


class TooMuchJson(NotStrictJson):
    """The document is larger or deeper than any legitimate one, and was not read to its end."""


def load(data: bytes) -> Any:  # noqa: ANN401 # any JSON
    """The value of a document. Raises NotStrictJson."""
    text = _text(data)
    value, end = _value_at(text, _after_blanks(text, 0), MAX_CHARS)
    if (end := _after_blanks(text, end)) < len(text):
        raise _syntax("Extra data", end)
    return value


def is_list(data: bytes) -> bool:
    """Whether the document is a list, if it is valid."""
    return data.lstrip(b" \t\n\r")[:1] == b"["


def elements(data: bytes) -> Iterator[Any]:
    """The elements of a list, each parsed on demand. Raises NotStrictJson at the invalid element."""
    text = _text(data)
    at = _after_blanks(text, _after_blanks(text, 0) + 1)
    left = MAX_LIST_VALUES
    for index in count():
        if index == 0 and text.startswith("]", at):
            break
        try:
            value, end = _value_at(text, at, _FIRST_WINDOW)
            left -= 1 + _values(text[at:end], _EXACT_FROM)
            if left < 0:
                raise TooMuchJson(f"has more than {MAX_LIST_VALUES} values in all")
        except NotStrictJson as error:
            error.index = index
            raise
        yield value
        at = _after_blanks(text, end)
        if not text.startswith(",", at):
            break
        at = _after_blanks(text, at + 1)
    if not text.startswith("]", at):
        raise _syntax("Expecting ',' delimiter", at)
    if (end := _after_blanks(text, at + 1)) < len(text):
        raise _syntax("Extra data", end)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"is not UTF-8 at byte {error.start}") from None


def _after_blanks(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr] # it matches everywhere


def _value_at(text: str, at: int, size: int) -> tuple[Any, int]:
    """The value at this position, and where it ends: that is unknown, so it is sought in windows of growing size."""
    while True:
        window = text[at : at + size]
        # Half of a window may lie behind the value.
        if (values := _values(window, 2 * MAX_VALUES)) > 2 * MAX_VALUES:
            raise TooMuchJson(f"has more than {MAX_VALUES} values")
        is_whole = at + size >= len(text)
        try:
            value, length = _decode(window)
        except json.JSONDecodeError as error:
            if is_whole:
                raise _syntax(error.msg, at + error.pos) from None
        else:
            if is_whole or length < len(window):  # else a number may continue
                if values > MAX_DEPTH:
                    _check(value, window[:length])
                return value, at + length
        if size >= MAX_CHARS:
            raise TooMuchJson(f"has more than {MAX_CHARS} characters")
        size *= 2


def _decode(window: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(window)
    except RecursionError:
        raise TooMuchJson("is nested too deeply") from None
    except (NotStrictJson, json.JSONDecodeError):
        raise
    except ValueError:  # a number with more digits than Python accepts
        raise NotStrictJson("holds a number that is too long") from None


def _check(value: object, text: str) -> None:
    """Raises TooMuchJson."""
    if _values(text, MAX_VALUES) > MAX_VALUES:
        raise TooMuchJson(f"has more than {MAX_VALUES} values")
    if is_deeper(value, MAX_DEPTH):
        raise TooMuchJson("is nested too deeply")


def _values(text: str, most: int) -> int:
    """How many values the text holds: each follows a comma or is the first of a list or an object.

    Up to ``most``, such characters inside strings are counted as well.
    """
    values = text.count(",") + text.count("[") + text.count("{")
    # Long texts contain commas, too. Removing the strings must not cost more than the values themselves.
    if values > most and text.count('"') <= 4 * MAX_VALUES:
        text = _STRING.sub("", text)
        values = text.count(",") + text.count("[") + text.count("{")
    return values


def is_deeper(value: object, most: int) -> bool:
    """Whether more than ``most`` lists, tuples and objects lie within each other; stops there, also in a circle."""
    level: list[Any] = [[value]]
    for _ in range(most + 1):
        level = [
            child
            for outer in level
            for child in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(child, (dict, list, tuple))
        ]
        if not level:
            return False
    return True


def _syntax(problem: str, at: int) -> NotStrictJson:
    return NotStrictJson(f"is not JSON: {problem.removesuffix(' at')} at character {at + 1}")


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotStrictJson("a name is given twice", name=name)
            seen.add(name)
    return fields


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise NotStrictJson("holds NaN, Infinity or a number too large for a double")
    return value


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)
