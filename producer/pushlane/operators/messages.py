"""Reads what there is of messages that are queued or dead, with the caller's client."""

from collections.abc import Sequence
from typing import Any

from pushlane.scripts import Script

_READ = Script("read")


def read_messages(
    client: Any,  # noqa: ANN401 # see Inspector
    prefix: str,
    ids: Sequence[str],
    *,
    whole: bool = False,
) -> list[tuple[bytes, bytes]]:
    """Record and details of each, in one round trip; both empty for one that is gone, no details if it is unreadable.

    Args:
        client: Must return raw bytes.
        prefix: The channel's.
        ids: At most 1,000.
        whole: With address and body, which can be 64 KiB each.
    """
    values = _READ.call(client, prefix, int(whole), *ids) if ids else []
    return list(zip(values[::2], values[1::2], strict=True))
