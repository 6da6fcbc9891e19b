"""Why a request gets no page: what is raised on its way, and what the browser is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import redis

from pushlane.callback.http.web import BodyRefused
from pushlane.callback.page.forms import BadForm
from pushlane.callback.page.threads import AllBusy
from pushlane.errors import (
    InvalidMessage,
    NewerChannel,
    PushlaneError,
    QueueUnavailable,
    SettingsError,
    UnknownChannel,
)
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

AGAIN_S: Final = "1"


class Refused(Exception):
    """The request gets this status and this explanation; nothing was done."""

    def __init__(self, status: int, problem: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem)
        self.status = status
        self.headers = headers or {}


ERRORS: Final = (Refused, BodyRefused, BadForm, AllBusy, PushlaneError, redis.RedisError)
"""The errors that ``refusal`` explains."""


def refusal(error: Exception, *, acts: bool) -> Refused:
    """What the browser is told; ``acts``: the request was to change something. Raises the error if it is a bug."""
    match error:
        case Refused():
            return error
        case BodyRefused():
            return Refused(error.status, f"The form {error}. Nothing was done.", error.headers)
        case BadForm():
            return Refused(400, f"The form {error}. Nothing was done.")
        case AllBusy():
            return Refused(503, "The page is busy. Nothing was done; try again.", {"Retry-After": AGAIN_S})
    return _of_view(error, acts=acts)


def _of_view(error: Exception, *, acts: bool) -> Refused:
    match error:
        case UnknownChannel():
            return Refused(404, _sentence(error))
        case InvalidMessage():
            return Refused(422, _sentence(error))
        case NewerChannel():
            return Refused(503, _sentence(error))
        case SettingsError():
            logger().error("page.no_password", problem=str(error))
            return Refused(503, "The password file cannot be read; the log of this process says why.")
        case redis.RedisError() | QueueUnavailable():
            logger().warning("page.redis_away", problem=str(error))
            more = (
                "It may have been done all the same: look before you repeat it." if acts else "Try again in a moment."
            )
            return Refused(503, f"Redis does not answer. {more}", {"Retry-After": AGAIN_S})
    raise error


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
