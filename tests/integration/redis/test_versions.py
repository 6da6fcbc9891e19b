"""The scripts need nothing that the oldest supported servers do not have."""

import re
from importlib.resources import files
from typing import Any

from redis import Redis

OLDEST = (7, 0, 0)
"""Redis; the oldest Valkey, 7.2, has whatever it has."""
_CALL = re.compile(r"\bp?call\('([A-Z]+)'")


def test_the_scripts_use_only_commands_that_the_oldest_server_has(redis: Redis) -> None:
    """By what the server says of each command: since when it exists."""
    folders = (files(package) / "lua" for package in ("pushlane", "pushlane_worker"))
    names = {name for folder in folders for file in folder.iterdir() for name in _CALL.findall(file.read_text())}
    assert {"SET", "ZADD", "HMGET"} <= names
    told: dict[bytes, Any] = redis.execute_command("COMMAND DOCS", *names)  # type: ignore[no-untyped-call] # redis-py
    assert {name.decode().upper() for name in told} == names
    later = {name for name, of in told.items() if tuple(map(int, of[b"since"].decode().split("."))) > OLDEST}
    assert not later
