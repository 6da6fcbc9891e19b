"""What a server's refusal means for whoever wrote the address: its own words do not say what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import redis

_CLUSTER: Final = ("MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN", "TRYAGAIN")
_UNKNOWN: Final = "unknown command "
_LOGIN: Final = "the server needs a password: write it into the address, or into a file and set …_PASSWORD_FILE"


def code_of(error: redis.RedisError) -> str:
    """The first word of the reply, which redis-py cuts off those that it has a class for."""
    return error.status_code or str(error).partition(" ")[0]


def explain(error: redis.RedisError) -> None:
    """Says in the error what would be right, if that is known."""
    code, words = code_of(error), str(error)
    if code in _CLUSTER:
        error.args = (f"{code} {words}: it is a node of a Redis Cluster: write the address as redis+cluster://…",)
    elif code == "NOAUTH":
        error.args = (f"NOAUTH: {_LOGIN}",)
    elif words.startswith(_UNKNOWN):
        command = words.removeprefix(_UNKNOWN).partition(",")[0]  # behind it there are arguments, perhaps a message's
        error.args = (f"{_UNKNOWN}{command}: it is a sentinel (redis+sentinel://…), or forbids what Pushlane needs",)
