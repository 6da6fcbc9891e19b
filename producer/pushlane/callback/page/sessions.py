"""Who is logged in. The id of a session is in a cookie; Redis has what proves it, and the name.

The key in Redis is an HMAC of the password by the id. So whoever reads or writes Redis can neither take over a session
nor make one, and a session is over once the password changes, wherever it is checked.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, Final

from pushlane.callback.page.cookies import new_id
from pushlane.keys import PAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S: Final = 30 * 60
LONGEST_S: Final = 12 * 3600
MOST: Final = 100
"""Sessions at a time: the oldest ends for another one."""
_ALL: Final = f"{PAGE_PREFIX}sessions"


class Sessions:
    """The sessions in Redis. Each method may raise a redis.RedisError, or SettingsError if the password is missing."""

    def __init__(self, redis: Any, read_password: Callable[[], str]) -> None:  # noqa: ANN401 # see Inspector
        self._redis = redis
        self._read_password = read_password

    def open(self, name: str) -> str:
        """The id of a new session of this person."""
        session_id = new_id()
        mac = self._mac(session_id)
        with self._redis.pipeline(transaction=True) as batch:
            batch.set(_session(mac), name, ex=LONGEST_S).set(_active(mac), 1, ex=IDLE_S)
            batch.zadd(_ALL, {mac: time.time() * 1000}).expire(_ALL, LONGEST_S).zrange(_ALL, 0, -MOST - 1)
            *_, surplus = batch.execute()
        self._end(*(one.decode() for one in surplus))
        return session_id

    def find(self, session_id: str) -> str | None:
        """Whose session it is, which is not idle from now on; None if it is over."""
        mac = self._mac(session_id)
        with self._redis.pipeline(transaction=True) as batch:
            name, is_active = batch.get(_session(mac)).expire(_active(mac), IDLE_S).execute()
        return name.decode() if name is not None and is_active else None

    def close(self, session_id: str) -> None:
        """Ends it."""
        self._end(self._mac(session_id))

    def _end(self, *macs: str) -> None:
        if macs:
            with self._redis.pipeline(transaction=True) as batch:
                batch.unlink(*(key for mac in macs for key in (_session(mac), _active(mac)))).zrem(_ALL, *macs)
                batch.execute()

    def _mac(self, session_id: str) -> str:
        return hmac.digest(session_id.encode(), self._read_password().encode(), hashlib.sha256).hex()


def _session(mac: str) -> str:
    return f"{PAGE_PREFIX}session:{mac}"


def _active(mac: str) -> str:
    return f"{PAGE_PREFIX}active:{mac}"
