"""Who asks: without a right sign, or from a wrong source, it is 401 and nothing is written."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest
from support.callback import APP, C2C, TOKEN, c2c, query
from support.questions import AFTER, HELLO, PATH, PEER, Asker, code, everything

from pushlane.callback.tencent.question import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

pytestmark = pytest.mark.long


def signed(**changes: str | None) -> str:
    """A signed query with some parameters replaced, in their escaped form, or left out."""
    facts = dict(pair.partition("=")[::2] for pair in query().split("&")) | changes
    return "&".join(f"{name}={value}" for name, value in facts.items() if value is not None)


def signed_at(request_time: str) -> str:
    """A query whose sign is right for exactly this text of a RequestTime."""
    sign = hashlib.sha256((TOKEN + request_time).encode()).hexdigest()
    return signed(Sign=sign, RequestTime=quote(request_time))


REFUSED: dict[str, Callable[[], tuple[str, bytes]]] = {
    "nothing": lambda: ("", HELLO),
    "no sign": lambda: (signed(Sign=None), HELLO),
    "an empty sign": lambda: (signed(Sign=""), HELLO),
    "a wrong sign": lambda: (signed(Sign="0" * 64), HELLO),
    "another token's sign": lambda: (query(token="yyyyxxxx"), HELLO),
    "the token as the sign": lambda: (signed(Sign=TOKEN), HELLO),
    "a sign that is not ASCII": lambda: (signed(Sign="%C3%A9"), HELLO),
    "a doubled sign": lambda: (f"{query()}&{query().split('&')[-2]}", HELLO),
    "a second, wrong sign": lambda: (query() + "&Sign=0", HELLO),
    "a doubled sign in another spelling": lambda: (query() + "&%53ign=0", HELLO),
    "a doubled command": lambda: (query() + f"&CallbackCommand={C2C}", HELLO),
    "no request time": lambda: (signed(RequestTime=None), HELLO),
    "an old request time": lambda: (query(age_s=62), HELLO),
    "a future request time": lambda: (query(age_s=-62), HELLO),
    "a request time with a newline": lambda: (signed_at(f"{time.time():.0f}\n"), HELLO),
    "a request time with a newline behind its sign": lambda: (query() + "%0A", HELLO),
    "a request time with a blank": lambda: (signed_at(f" {time.time():.0f}"), HELLO),
    "a request time with a fraction": lambda: (signed_at(f"{time.time():.1f}"), HELLO),
    "a request time in other digits": lambda: (signed_at(f"{time.time():.0f}".replace("1", "\u0661")), HELLO),
    "a longer request time": lambda: (signed_at(f"0{time.time():.0f}"), HELLO),
    "a foreign app": lambda: (query(app="1400000002"), HELLO),
    "no app": lambda: (signed(SdkAppid=None), HELLO),
    "a broken escape": lambda: (query() + "&x=%zz", HELLO),
    "a very long query": lambda: (query() + "&x=" + "x" * 9000, HELLO),
    "another command in the body": lambda: (query(), json.dumps(c2c(1, CallbackCommand=GROUP)).encode()),
    "an after-event in the body": lambda: (query(), json.dumps(c2c(1, CallbackCommand=AFTER)).encode()),
    "another command's own body": lambda: (query(), b'{"CallbackCommand":"State.StateChange","Info":{}}'),
    "another command in the query": lambda: (query(GROUP), HELLO),
    "no sign and no body": lambda: (signed(Sign=None), b""),
    "no sign and a broken body": lambda: (signed(Sign=None), b"{"),
    "no sign and a large body": lambda: (signed(Sign=None), b" " * 2**20),
    "no sign and an after-event": lambda: (signed(Sign=None, CallbackCommand=AFTER), HELLO),
}


def test_who_does_not_prove_to_be_the_platform_changes_nothing(
    ask: Callable[..., Asker], redis: Redis, tmp_path: Path
) -> None:
    """401 without a body, no policy asked, and Redis and the disk are byte for byte what they were."""
    app = ask(policies="odd_policies:counts")
    assert code(app.post(query())) == 0
    app.idle(0.1)
    before, asked = everything(redis, tmp_path), (tmp_path / "calls").read_text()
    assert before
    for name, request in REFUSED.items():
        asked_with, body = request()
        response = app.post(asked_with, body)
        assert (response.status_code, response.content) == (401, b""), name
    app.idle(0.1)
    assert everything(redis, tmp_path) == before
    assert (tmp_path / "calls").read_text() == asked
    assert code(app.post(query())) == 0, "the right request is still answered"


def test_both_tokens_sign_while_they_rotate_and_no_third(ask: Callable[..., Asker]) -> None:
    """A token is changed without a moment in which messages pass unjudged."""
    app = ask(tokens="first,second")
    assert [app.post(query(token=token)).status_code for token in ("first", "second", "third", "")] == [
        200,
        200,
        401,
        401,
    ]


@pytest.mark.parametrize("spelled", [str.upper, str.lower])
def test_a_sign_may_be_written_in_capitals(ask: Callable[..., Asker], spelled: Callable[[str], str]) -> None:
    """Hexadecimal digits have two spellings."""
    facts, _, rest = query().partition("&Sign=")
    assert code(ask().post(f"{facts}&Sign={spelled(rest[:64])}{rest[64:]}")) == 0


NETWORKS = {"source_networks": "192.0.2.0/24,2001:db8::/32"}
PROXIES = {**NETWORKS, "trusted_proxies": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("settings", "peer", "forwarded", "status"),
    [
        (NETWORKS, "192.0.2.9", None, 200),
        (NETWORKS, "2001:db8::9", None, 200),
        (NETWORKS, "::ffff:192.0.2.9", None, 200),
        (NETWORKS, "192.0.3.9", None, 401),
        (NETWORKS, "192.0.3.9", "192.0.2.9", 401),
        (NETWORKS, "192.0.2.9", "198.51.100.1", 200),
        (NETWORKS, "testclient", None, 401),
        (PROXIES, "10.1.2.3", "192.0.2.9", 200),
        (PROXIES, "10.1.2.3", "192.0.2.9, 10.9.9.9", 200),
        (PROXIES, "10.1.2.3", "192.0.2.9, 198.51.100.1", 401),
        (PROXIES, "10.1.2.3", "192.0.2.9,198.51.100.1,10.9.9.9", 401),
        (PROXIES, "10.1.2.3", "198.51.100.1, 192.0.2.9", 200),
        (PROXIES, "10.1.2.3", None, 401),
        (PROXIES, "10.1.2.3", "", 401),
        (PROXIES, "10.1.2.3", "192.0.2.9,", 401),
        (PROXIES, "10.1.2.3", "unknown", 401),
        (PROXIES, "10.1.2.3", "10.1.2.3", 401),
        (PROXIES, "10.1.2.3", ",".join(["192.0.2.9", *["10.0.0.1"] * 10_000]), 401),
        (PROXIES, "198.51.100.1", "192.0.2.9", 401),
        (PROXIES, "192.0.2.9", None, 200),
    ],
)
def test_a_source_outside_the_networks_changes_nothing(
    ask: Callable[..., Asker],
    redis: Redis,
    tmp_path: Path,
    settings: dict[str, str],
    peer: str,
    forwarded: str | None,
    status: int,
) -> None:
    """Only what a trusted proxy has seen itself counts; what a caller writes into the header does not."""
    app = ask(**settings)
    before = everything(redis, tmp_path)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    response = app.post(query(), headers=headers, peer=peer)
    assert response.status_code == status
    assert (everything(redis, tmp_path) == before) is (status == 401)
    assert status == 200 or response.content == b""


def test_unsigned_requests_are_taken_from_the_networks_alone(ask: Callable[..., Asker]) -> None:
    """An operator whose console has no token relies on the network."""
    app = ask(tokens="", unsigned="true", **NETWORKS)
    bare = f"SdkAppid={APP}&CallbackCommand={C2C}"
    assert code(app.post(bare, peer="192.0.2.9")) == 0
    assert app.post(bare, peer="192.0.3.9").status_code == 401
    assert app.post(bare.replace(APP, "1"), peer="192.0.2.9").status_code == 401


def test_only_the_one_address_and_method_is_there(ask: Callable[..., Asker], redis: Redis, tmp_path: Path) -> None:
    """No redirect repeats a signed address, and no page describes the service."""
    app = ask()
    before = everything(redis, tmp_path)

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(app._app, client=(PEER, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://callback") as client:
            requests = [("GET", PATH), ("PUT", PATH), ("POST", PATH + "/"), ("POST", "/"), ("GET", "/docs")]
            return [(await client.request(method, f"{path}?{query()}")).status_code for method, path in requests]

    assert app._runner.run(statuses()) == [405, 405, 404, 404, 404]
    assert everything(redis, tmp_path) == before
