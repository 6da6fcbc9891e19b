"""The address of a Redis, checked before anything connects and parsed alike for the queue and for Celery's broker.

It may contain a password, so no error here quotes any part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from pushlane import address_options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

EXAMPLE: Final = "redis://localhost:6379/0"
DEFAULT_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_UNIX: Final = ("unix", "redis+socket")  # redis-py's name and kombu's
Kind = Literal["server", "cluster", "sentinel"]
_KINDS: Final[Mapping[str, Kind]] = {
    "redis": "server",
    "rediss": "server",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
}
_ESCAPE: Final = "a user name or password must be percent-encoded: @ is %40, / is %2F, : is %3A, ? is %3F, # is %23"


class Node(NamedTuple):
    """Where a server listens."""

    host: str = "localhost"
    port: int = DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class Address:
    """A server, a Redis Cluster, or a primary that sentinels know.

    Attributes:
        nodes: The server; some nodes of the cluster; the sentinels. Not used with ``path``.
        path: That of a unix socket.
        tls: redis-py's ``ssl_*``, None without TLS; for sentinels, too.
        service: The primary's name among the sentinels.
        sentinel_login: User name and password for the sentinels, by the names of redis-py's arguments.
    """

    username: str | None
    password: str | None = field(repr=False)
    db: int
    nodes: tuple[Node, ...] = (Node(),)
    kind: Kind = "server"
    path: str = ""
    tls: Mapping[str, Any] | None = field(default=None, repr=False)
    service: str = ""
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)

    def for_celery(self) -> str:
        """The same address in kombu's form. It contains the password, but no TLS options: these are set separately."""
        user = "" if self.username is None else quote(self.username, safe="")
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        login = f"{user}{secret}@" if user or secret else ""
        if self.path:
            return f"redis+socket://{login}{quote(self.path)}?virtual_host={self.db}"
        scheme = "sentinel" if self.kind == "sentinel" else f"redis{'' if self.tls is None else 's'}"
        hosts = [(f"[{host}]" if ":" in host else host, port) for host, port in self.nodes]
        return ";".join(f"{scheme}://{login}{host}:{port}/{self.db}" for host, port in hosts)


def parse(url: str) -> Address:
    """Parses every form of an address.

    ::

        redis://user:password@host:port/db          a server; rediss:// for TLS
        unix:///path?db=0                           a server on this host
        redis+cluster://user:password@h1:p,h2:p     some nodes of a Redis Cluster; rediss+cluster://
        redis+sentinel://user:password@h1:p,h2:p/service/db     sentinels; rediss+sentinel://

    TLS verifies the certificate and its name unless the address itself says otherwise.

    Raises:
        ValueError: The address is invalid; the message says what is wrong and what would be right.
    """
    try:
        return _parse(url)
    except ValueError as error:
        raise ValueError(f"must be an address like {EXAMPLE}: {error}") from None


def _parse(url: str) -> Address:
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError("it has blanks or control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"[ and ] are only for an IPv6 address; {_ESCAPE}") from None
    if parts.scheme in _UNIX:
        return _socket(parts)
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise ValueError("it must begin with redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://")
    if "#" in url or "@" in parts.path + parts.query:
        raise ValueError(_ESCAPE)
    nodes, options = _nodes(parts, SENTINEL_PORT if kind == "sentinel" else DEFAULT_PORT), _options(parts, kind)
    if kind == "server" and len(nodes) > 1:
        raise ValueError("several servers are written redis+cluster:// or redis+sentinel://")
    service, path = _path(parts.path, kind)
    db = address_options.database(options, path)
    if kind == "cluster" and db:
        raise ValueError("a Redis Cluster has only the database 0")
    tls = address_options.tls(options) if parts.scheme.startswith("rediss") else None
    login = {name.partition("_")[2]: options[name] for name in address_options.SENTINEL if name in options}
    return Address(*_login(parts), db, nodes, kind, tls=tls, service=service, sentinel_login=login)


def _socket(parts: SplitResult) -> Address:
    if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
        raise ValueError(f"a unix socket is written unix:///path/to/redis.sock?db=0; {_ESCAPE}")
    if parts.fragment:
        raise ValueError(_ESCAPE)
    db = address_options.database(address_options.read(parts.query), "")
    return Address(*_login(parts), db, path=unquote(parts.path))


def _options(parts: SplitResult, kind: Kind) -> Mapping[str, str]:
    options = address_options.read(parts.query)
    if not parts.scheme.startswith("rediss") and any(name in address_options.TLS for name in options):
        raise ValueError(f"ssl_… needs {parts.scheme.replace('redis', 'rediss', 1)}://")
    if kind != "sentinel" and any(name in address_options.SENTINEL for name in options):
        raise ValueError("sentinel_… needs redis+sentinel://")
    return options


def _nodes(parts: SplitResult, default_port: int) -> tuple[Node, ...]:
    return tuple(_node(node, default_port) for node in parts.netloc.rpartition("@")[2].split(","))


def _node(text: str, default_port: int) -> Node:
    one = urlsplit(f"//{text}")
    try:
        port = one.port
    except ValueError:  # its message quotes the port
        port = 0
    if port == 0:
        raise ValueError("its port must be a number from 1 to 65535")
    if not one.hostname:
        raise ValueError("it must name the host of each server")
    return Node(one.hostname, port or default_port)


def _path(path: str, kind: Kind) -> tuple[str, str]:
    """The sentinels' service and the database, each '' if there is none."""
    if kind != "sentinel":
        return "", path.removeprefix("/")
    service, _, db = path.removeprefix("/").partition("/")
    if not service or (service.isdecimal() and not db):  # a database alone
        raise ValueError("it must name the sentinels' service: redis+sentinel://host:26379/service/0")
    return unquote(service), db


def _login(parts: SplitResult) -> tuple[str | None, str | None]:
    username, password = parts.username, parts.password
    return unquote(username) if username else None, unquote(password) if password else None
