"""Keys that would stay in Redis for ever."""

from collections.abc import Iterator
from itertools import islice

from redis import Redis

from pushlane import keys


def everlasting_keys(client: Redis) -> Iterator[bytes]:
    """Keys of ours with no expiry that ``pushlane.keys`` does not count among the permanent ones."""
    found = client.scan_iter(match=f"{keys.PREFIX}*".encode(), count=1000)
    mortal = (key for key in found if not keys.is_permanent(key))
    while batch := list(islice(mortal, 1000)):
        pipeline = client.pipeline(transaction=False)
        for key in batch:
            pipeline.ttl(key)
        yield from (key for key, ttl in zip(batch, pipeline.execute(), strict=True) if ttl == -1)
