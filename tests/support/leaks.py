"""Keys that would stay in Redis for ever."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from redis import Redis

from pushlane import keys

# The tables in ``pushlane.keys``: the name after the prefix, the type, the content and the lifetime.
_ROW: Final = re.compile(r"^``([^`]+)`` +\w+ +\S.* {2,}(\S.*)$", re.MULTILINE)
_LIFETIMES: Final = dict(_ROW.findall(keys.__doc__))
_PERMANENT: Final = [
    re.compile(re.escape(name.partition("<")[0]) + (".*" if "<" in name else ""), re.DOTALL)
    for name, lifetime in _LIFETIMES.items()
    if lifetime in {"for ever", "till empty", "till done", "see below"}
]


def is_permanent(key: bytes) -> bool:
    """Whether the key may exist without an expiry: the queue's own data, and keys that are empty when idle."""
    if key in {keys.BELL.encode(), keys.CHANNELS.encode(), keys.AUDIT.encode()}:
        return True
    name = key.partition(b"}:")[2].decode(errors="replace")
    return any(pattern.fullmatch(name) for pattern in _PERMANENT)


def everlasting_keys(client: Redis) -> Iterator[bytes]:
    """Keys of ours with no expiry for which the tables in ``pushlane.keys`` give one."""
    found = client.scan_iter(match=f"{keys.PREFIX}*".encode(), count=1000)
    mortal = (key for key in found if not is_permanent(key))
    while batch := list(islice(mortal, 1000)):
        pipeline = client.pipeline(transaction=False)
        for key in batch:
            pipeline.ttl(key)
        yield from (key for key, ttl in zip(batch, pipeline.execute(), strict=True) if ttl == -1)
