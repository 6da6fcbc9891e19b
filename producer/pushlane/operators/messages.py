"""Reads what there is of messages that are queued or dead, with the caller's client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pushlane.keys import channel_prefix
from pushlane.message import check_channel_name
from pushlane.message_json import fields_of
from pushlane.message_record import read_content, state_of
from pushlane.scripts import Script

_READ = Script("read")


@dataclass(frozen=True, slots=True)
class Payload:
    """A message's content as stored in its record; ``kind`` is its channel's."""

    kind: str
    conversation: str
    address: bytes
    body: bytes

    def fields(self) -> dict[str, object]:
        """The fields of its JSON form."""
        return fields_of(self.kind, self.conversation, self.address, self.body)


def read_payload(client: Any, channel: str, message_id: str) -> Payload | None:  # noqa: ANN401 # see Inspector
    """The content of a message that is queued or dead; None if it is neither, or in a newer version's layout."""
    prefix = channel_prefix(check_channel_name(channel))
    kind = client.hget(f"{prefix}channel", "kind")
    ((record, _),) = read_messages(client, prefix, [message_id], whole=True)
    if kind is None or state_of(record) is None:
        return None
    payload = Payload(kind.decode(), *read_content(record))
    return payload if payload.body else None  # without a body, it is what the previous release keeps of a finished one


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
