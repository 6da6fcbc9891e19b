"""Who is logged in. The id of a session is in a cookie; Redis has what proves it, and the name.

The key in Redis is an HMAC of the password by the id. So whoever reads or writes Redis can neither take over a session
nor make one, and a session is over once the password changes, wherever it is checked.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from pushlane.callback.page.cookies import new_id
from pushlane.callback.page.tries import MAX_ADDRESS_CHARS
from pushlane.keys import PAGE_PREFIX
from pushlane.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S: Final = 30 * 60
LONGEST_S: Final = 12 * 3600
MOST: Final = 100
"""Sessions at a time: the oldest ends for another one."""
PROVEN_S: Final = 30 * 24 * 3600
MOST_PROVEN: Final = 1000
"""Addresses that count as proven: the latest ones (see ``tries``)."""
_OPEN: Final = Script("open_session")


class Sessions:
    """The sessions in Redis. Each method may raise a redis.RedisError, or SettingsError if the password is missing.

    Nothing is a transaction: before 7.2 a full Redis refuses every command of one.
    """

    def __init__(self, redis: Any, read_password: Callable[[], str]) -> None:  # noqa: ANN401 # see Inspector
        self._redis = redis
        self._read_password = read_password

    def open(self, name: str, address: str) -> str:
        """The id of a new session of this person, who has logged in from this address."""
        session_id = new_id()
        proven = (address[:MAX_ADDRESS_CHARS], PROVEN_S * 1000, MOST_PROVEN)
        session = (self._mac(session_id), name, LONGEST_S * 1000, IDLE_S * 1000, MOST)
        _OPEN.call(self._redis, PAGE_PREFIX, "", *session, *proven)
        return session_id

    def find(self, session_id: str, *, by_person: bool = True) -> str | None:
        """Whose session it is; None if it is over. If a person asks, its idle time starts anew."""
        mac = self._mac(session_id)
        with self._redis.pipeline(transaction=False) as batch:
            batch.get(_session(mac))
            if by_person:
                batch.expire(_active(mac), IDLE_S)
            else:
                batch.exists(_active(mac))
            name, is_active = batch.execute()
        return name.decode() if name is not None and is_active else None

    def close(self, session_id: str) -> None:
        """Ends it."""
        mac = self._mac(session_id)
        with self._redis.pipeline(transaction=False) as batch:
            batch.unlink(_session(mac), _active(mac)).zrem(f"{PAGE_PREFIX}sessions", mac).execute()

    def _mac(self, session_id: str) -> str:
        return hmac.digest(session_id.encode(), self._read_password().encode(), hashlib.sha256).hex()


def _session(mac: str) -> str:
    return f"{PAGE_PREFIX}session:{mac}"


def _active(mac: str) -> str:
    return f"{PAGE_PREFIX}active:{mac}"
