"""How often somebody may try to log in: counted in Redis, for all processes together, before the password is compared.

An address may make a few tries at once, and then one every ten seconds. All addresses together may make a few dozen at
once, and then one a second; except those from which somebody has logged in before, so that strangers, however many
addresses they have, cannot lock out an operator at a usual desk. What is refused is not counted, so a wait always ends.
"""

from __future__ import annotations

from typing import Any, Final

from pushlane.keys import PAGE_PREFIX
from pushlane.scripts import Script

OWN_MS: Final = 10_000
OWN_BURST: Final = 5
ALL_MS: Final = 1000
ALL_BURST: Final = 50
MAX_ADDRESS_CHARS: Final = 64
"""Of an address: a proxy may report anything as one."""
_TRY: Final = Script("try_login")


def try_login(redis: Any, address: str) -> int:  # noqa: ANN401 # see Inspector
    """0 if a try from this address may be made now, which counts; else how many ms it has to wait.

    Raises redis.RedisError.
    """
    allowances = (OWN_MS, OWN_BURST, ALL_MS, ALL_BURST)
    return int(_TRY.call(redis, PAGE_PREFIX, "", address[:MAX_ADDRESS_CHARS], *allowances))
