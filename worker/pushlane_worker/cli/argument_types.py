"""What a word on the command line may be: functions for click, which shows the text of their ValueError."""

import re
from datetime import datetime
from typing import Any

from pushlane.errors import InvalidMessage
from pushlane.message_json import load
from pushlane.send_options import SendOptions

_SECONDS = re.compile(r"\+?[0-9]+(\.[0-9]+)?")


def utf8(word: str) -> str:
    """A string that can be part of a Redis key."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return word


def json_object(word: str) -> dict[str, Any]:
    """An object for ``ThirdPartyMessage``, which checks its content; errors here never quote it."""
    made = load(word.encode(errors="surrogateescape"), "object")
    if not isinstance(made, dict):
        raise ValueError('must be a JSON object, such as {"type": 1, "text": "hello"}')  # noqa: TRY004 # click's
    return made


def when(word: str) -> datetime | float:
    """`90` or `+90` are seconds from now on Redis's clock; `2026-11-22T14:30:00Z` is a time."""
    if _SECONDS.fullmatch(word):
        return float(word)
    try:
        SendOptions.from_json(None, word, None)  # checks the RFC 3339 format
    except InvalidMessage as error:
        raise ValueError(f"{error.problem}, or seconds from now, such as 90") from None
    return datetime.fromisoformat(word.upper())
