"""Follows a stream as it grows."""

from collections.abc import Iterator
from typing import Any, Final

WAIT_MS: Final = 1000
PAGE: Final = 500


def follow(client: Any, stream: str, after: bytes | str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:  # noqa: ANN401 # see Inspector
    """Each entry after the one with this id, with its id; waits for new ones, for ever."""
    while True:
        for _, page in client.xread({stream: after}, block=WAIT_MS, count=PAGE) or []:
            yield from page
            after = page[-1][0]
