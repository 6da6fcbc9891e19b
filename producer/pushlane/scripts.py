"""The Lua scripts: one file, one operation, beginning with ``#!lua``, called by EVALSHA, or EVAL if a server lacks it.

A script's header says what it does, then each ``KEYS[n] name`` and ``ARGV[n] name``, then what it returns; its line
``--- use a b`` includes ``lib_a.lua`` and ``lib_b.lua``, looked up in the worker's own folder first.

``KEYS[1]`` is the prefix of a channel's keys, or another key. A script that may ring the bell gets it as ``KEYS[2]``.
In a Redis Cluster the bell is on another node: there the script gets no bell, its whole text is a function, and its
reply is ``{reply, ms}``, where the ms (0: none) are those of the ring that the caller has to make. A ring that is lost
then is made up for by a sweep, as any other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoScriptError, ResponseError

from pushlane.cluster.blocking import Cluster
from pushlane.cluster.nonblocking import AsyncCluster
from pushlane.keys import BELL, channel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import redis
    import redis.asyncio

_USE = re.compile(r"^--- use (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)

PRODUCER = "pushlane"
UNREGISTERED: Final = -2
"""How scripts say that Redis does not know the channel (any more)."""
_RINGS: Final = "wake"
"""The library of the scripts that may ring."""


def _read(packages: Iterable[str], name: str) -> str:
    for package in packages:
        file = files(package) / "lua" / name
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError(name)


@cache
def source(name: str, package: str = PRODUCER) -> str:
    """The whole text of the script ``name``, including the libraries that it uses.

    Args:
        name: The file's name without its extension.
        package: The package that owns the script; ``pushlane``'s own scripts and libraries are always found.
    """
    packages = (package, PRODUCER)
    shebang, _, body = _read(packages, f"{name}.lua").partition("\n")
    used = _USE.search(body)
    libraries = [_read(packages, f"lib_{library}.lua") for library in used.group(1).split()] if used else []
    return f"{shebang}\n" + _COMMENT.sub("", "\n".join([*libraries, body]))


@cache
def apart(text: str) -> str:
    """The text of a script that may ring, for a cluster, where the bell is apart."""
    shebang, _, body = text.partition("\n")
    before, after = "local rang = 0\nlocal function script()", "end\nlocal reply = script()\nreturn { reply, rang }"
    return f"{shebang}\n{before}\n{body}\n{after}\n"


@cache
def _sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Script:
    """A script that can be called on any client, blocking or not, of a server or of a cluster."""

    name: str
    package: str = PRODUCER

    def call(self, client: redis.Redis, key: str, *args: bytes | float | str) -> Any:  # noqa: ANN401 # as Lua returns it
        """Its reply on this client. ``key`` is ``KEYS[1]``. Raises redis.RedisError."""
        ask: Any = client
        apart_from_bell = isinstance(client, Cluster) and self.rings
        text, words = self._command(key, args, apart_from_bell=apart_from_bell)
        try:
            reply = ask.evalsha(_sha(text), *words)
        except NoScriptError:
            reply = ask.eval(text, *words)
        if not apart_from_bell:
            return reply
        if reply[1]:
            ask.try_once(*_ring([(key, reply[1])]))
        return reply[0]

    def call_all(self, client: redis.Redis, keys: Sequence[str], *args: bytes | float | str) -> list[Any]:
        """The replies or errors of calls that differ in their key, sent together. Not for a script that rings."""
        ask: Any = client
        sha = _sha(source(self.name, self.package))
        replies: list[Any] = [None] * len(keys)
        todo = list(range(len(keys)))
        while todo:
            with ask.pipeline(transaction=False) as batch:
                for number in todo:
                    batch.evalsha(sha, 1, keys[number], *args)
                for number, reply in zip(todo, batch.execute(raise_on_error=False), strict=True):
                    replies[number] = reply
            todo = [number for number in todo if isinstance(replies[number], NoScriptError)]
            if todo:  # its node learns the script with this call
                first = todo.pop(0)
                try:
                    replies[first] = self.call(client, keys[first], *args)
                except ResponseError as error:
                    replies[first] = error
        return replies

    async def call_async(self, client: redis.asyncio.Redis, key: str, *args: bytes | float | str) -> Any:  # noqa: ANN401 # the same
        """``call`` for asyncio."""
        ask: Any = client
        apart_from_bell = isinstance(client, AsyncCluster) and self.rings
        text, words = self._command(key, args, apart_from_bell=apart_from_bell)
        try:
            reply = await ask.evalsha(_sha(text), *words)
        except NoScriptError:
            reply = await ask.eval(text, *words)
        if not apart_from_bell:
            return reply
        if reply[1]:
            await ask.try_once(*_ring([(key, reply[1])]))
        return reply[0]

    async def call_each(self, client: redis.asyncio.Redis, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The replies or errors of calls with these keys and arguments, sent together; one error is NoScriptError."""
        ask: Any = client
        apart_from_bell = isinstance(client, AsyncCluster) and self.rings
        async with ask.pipeline(transaction=False) as batch:
            for key, args in calls:
                text, words = self._command(key, args, apart_from_bell=apart_from_bell)
                batch.evalsha(_sha(text), *words)
            replies: list[Any] = await batch.execute(raise_on_error=False)
        if not apart_from_bell:
            return replies
        pairs = [(key, reply) for (key, _), reply in zip(calls, replies, strict=True)]
        if rings := [(key, reply[1]) for key, reply in pairs if not isinstance(reply, Exception) and reply[1]]:
            await ask.try_once(*_ring(rings))
        return [reply if isinstance(reply, Exception) else reply[0] for reply in replies]

    @property
    def rings(self) -> bool:
        """Whether it may ring the bell."""
        return _may_ring(self.name, self.package)

    def _command(self, key: str, args: Sequence[Any], *, apart_from_bell: bool) -> tuple[str, Sequence[Any]]:
        """Its text, and what follows it in the command."""
        text = source(self.name, self.package)
        if apart_from_bell:
            return apart(text), (1, key, *args)
        return text, (2, key, BELL, *args) if self.rings else (1, key, *args)


@cache
def _may_ring(name: str, package: str) -> bool:
    used = _USE.search(_read((package, PRODUCER), f"{name}.lua"))
    return used is not None and _RINGS in used.group(1).split()


def _ring(rings: Iterable[tuple[str, int]]) -> Sequence[Any]:
    """The command that rings for the channels with these prefixes, each with its ms."""
    return ("ZADD", BELL, "NX", *(word for key, ms in rings for word in (ms, channel_of(key))))
