"""The endpoint under hostile requests: 401 and nothing written, or 200 and one of the documented answers."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture
from support.callback import APP, C2C, TOKEN, c2c, moderation, query
from support.in_process import URL, InProcess
from support.waiting import wait_until

from pushlane.callback.answer import OWN_CODES
from pushlane.callback.app import make_app
from pushlane.callback.chain import Chain
from pushlane.callback.feed import Feed
from pushlane.callback.settings import load_callback_settings
from pushlane.callback.tencent import GROUP, MODERATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from redis import Redis

    from pushlane.callback.decision import Decision

pytestmark = pytest.mark.long

PATH = "/tencent/callback"
PEER = "198.51.100.7"
HELLO = json.dumps(c2c(1)).encode()
AFTER = "C2C.CallbackAfterSendMsg"

POLICIES = """
import asyncio, threading, time
from pushlane.callback import Verdict

class Saying:
    name = "saying"
    def __init__(self, said): self._said = said
    async def judge(self, message):
        return self._said() if callable(self._said) else self._said

class InThread(Saying):
    def judge(self, message):
        return self._said() if callable(self._said) else self._said

class Odd(Verdict):
    def __init__(self): super().__init__("forbid")

def fail(error): raise error
def text(value): return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": value}}]

raises = Saying(lambda: fail(RuntimeError("no")))
raises_in_thread = InThread(lambda: fail(KeyError("no")))
exits_in_thread = InThread(lambda: fail(SystemExit(3)))
cancelled = Saying(lambda: fail(asyncio.CancelledError()))
times_out = Saying(lambda: fail(BaseException("gevent's Timeout is one")))
times_out_in_thread = InThread(lambda: fail(BaseException("the same")))
no_verdict = Saying("forbid")
true = Saying(True)
a_class = Saying(lambda: Verdict)
odd = Saying(Odd)
unknown_kind = Saying(Verdict("block"))
unhashable_kind = Saying(Verdict(["forbid"]))
no_elements = Saying(Verdict.rewrite(msg_body=[]))
seven = Saying(Verdict.rewrite(msg_body=7))
wrong_elements = Saying(Verdict.rewrite(msg_body=[{"MsgType": "TIMTextElem"}]))
no_json = Saying(Verdict.rewrite(msg_body=text(object())))
locked = Saying(Verdict.rewrite(msg_body=text(threading.Lock())))
surrogate = Saying(Verdict.rewrite(msg_body=text(chr(0xD800))))
nan = Saying(Verdict.rewrite(msg_body=text(float("nan"))))
custom_data = Saying(Verdict.rewrite(custom_data={"a": 1}))
a_number = Saying(Verdict.rewrite(msg_body=text(5)))
no_text = Saying(Verdict.rewrite(msg_body=[{"MsgType": "TIMTextElem", "MsgContent": {}}]))
huge = Saying(Verdict.rewrite(msg_body=text("x" * 3_000_000)))
huge_custom_data = Saying(Verdict.rewrite(custom_data="x" * 3_000_000))
many = Saying(Verdict.rewrite(msg_body=text("x") * 100_000))
in_thread = InThread(Verdict.rewrite(msg_body=[1]))
hangs = InThread(lambda: asyncio.sleep(60))
hangs_in_thread = InThread(lambda: time.sleep(5))
class Sleeps:
    name = "sleeps"
    async def judge(self, message): await asyncio.sleep(60)
sleeps = Sleeps()
class Naps:
    name = "naps"
    async def judge(self, message):
        await asyncio.sleep(0.4)
        return Verdict.forbid(reason=object())
naps = Naps()
forbids_oddly = Saying(Verdict.forbid(code=object(), text=object(), reason=object()))
forbids_long = Saying(Verdict.forbid(code=10**5000, text="x" * 10**6, reason="r" * 10**6))
discards_oddly = Saying(Verdict.discard(reason=b"bytes"))
class Quotes:
    name = "quotes"
    def judge(self, message): float(message.text)
quotes = Quotes()
def route(message): return {}[message.text]
def route_times_out(message): raise BaseException("no room")
def route_cancels(message): asyncio.current_task().cancel()
class CancelsAtOnce:
    name = "cancels_at_once"
    inline = True
    def judge(self, message): asyncio.current_task().cancel()
cancels_at_once = CancelsAtOnce()
class Counts:
    name = "counts"
    async def judge(self, message):
        with open("calls", "a") as calls: print(message.key, file=calls)
counts = Counts()
"""


class Asker(InProcess):
    """The app, and signed questions for it."""

    def post(
        self, asked: str, body: bytes = HELLO, *, headers: Mapping[str, str | bytes] | None = None, peer: str = PEER
    ) -> httpx.Response:
        """The answer to a request with this query string."""
        target = httpx.URL(URL + PATH).copy_with(query=asked.encode(errors="surrogateescape"))
        return self.send(target, body, headers or {}, peer=peer)


@pytest.fixture
def ask(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Asker]]:
    """Opens the app with these settings of MODERATION; closed at the end."""
    (tmp_path / "odd_policies.py").write_text(POLICIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PUSHLANE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pushlane.callback.app.PROCESSES", 1)  # it takes half a second to start one
    opened: list[Asker] = []
    # Nobody has configured them here, and then a traceback is a work of art that takes a second.
    quiet = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    monkeypatch.setattr("pushlane.logs.structlog.get_logger", lambda: quiet)

    def make(**settings: object) -> Asker:
        for name, value in moderation(tmp_path, **settings).items():
            monkeypatch.setenv(name, value)
        opened.append(Asker(make_app(load_callback_settings())).__enter__())
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__()


def everything(redis: Redis, folder: Path) -> dict[object, object]:
    """Every key with its value, and every byte of the spool."""
    kept: dict[object, object] = {key: redis.dump(key) for key in redis.scan_iter(count=1000)}
    return kept | {path.suffix: path.read_bytes() for path in (folder / "spool").iterdir()}


def code(response: httpx.Response, command: str = C2C) -> int:
    """The ErrorCode of an answer, once it is sure that it is one of the documented ones."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    fields = json.loads(response.content.decode())
    assert fields["ActionStatus"] == "OK"
    assert type(fields["ErrorInfo"]) is str
    assert type(fields["ErrorCode"]) is int
    assert fields["ErrorCode"] in {0, 1, 2} or fields["ErrorCode"] in OWN_CODES[command]
    extra = set(fields) - {"ActionStatus", "ErrorInfo", "ErrorCode"}
    assert extra <= ({"MsgBody", "CloudCustomData"} if fields["ErrorCode"] == 0 else set())
    assert response.content.isascii() or command in MODERATED
    return int(fields["ErrorCode"])


def signed(**changes: str | None) -> str:
    """A signed query with some parameters replaced, in their escaped form, or left out."""
    facts = dict(pair.partition("=")[::2] for pair in query().split("&")) | changes
    return "&".join(f"{name}={value}" for name, value in facts.items() if value is not None)


def signed_at(request_time: str) -> str:
    """A query whose sign is right for exactly this text of a RequestTime."""
    sign = hashlib.sha256((TOKEN + request_time).encode()).hexdigest()
    return signed(Sign=sign, RequestTime=quote(request_time))


# --- who asks ----------------------------------------------------------------------------------------------------

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


# --- what is asked -----------------------------------------------------------------------------------------------


def raw(**fields: str) -> bytes:
    """A message with some fields given as JSON text."""
    told = {name: json.dumps(value) for name, value in c2c(1).items()} | fields
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in told.items()) + "}").encode(
        errors="surrogatepass"
    )


def relays(levels: int) -> str:
    """A blocked word in relays within relays."""
    opened = '[{"MsgType":"TIMRelayElem","MsgContent":{"MsgList":[{"MsgBody":' * levels
    return opened + '[{"MsgType":"TIMTextElem","MsgContent":{"Text":"casino"}}]' + "}]}}]" * levels


UNREADABLE = {
    "no JSON": b"hello",
    "half a message": HELLO[:-10],
    "an open brace": b"{",
    "NUL": b"\0",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "a string": b'"x"',
    "an empty object": b"{}",
    "two documents": HELLO + HELLO,
    "a name twice": HELLO[:-1] + b', "MsgKey": "x"}',
    "UTF-16": HELLO.decode().encode("utf-16"),
    "UTF-16 without a mark": HELLO.decode().encode("utf-16-le"),
    "UTF-32": HELLO.decode().encode("utf-32"),
    "a mark of UTF-8": b"\xef\xbb\xbf" + HELLO,
    "broken UTF-8": HELLO.replace(b"hello", b"hell\xff"),
    "Latin-1": HELLO.replace(b"hello", "héllo".encode("latin-1")),
    "a raw surrogate": HELLO.replace(b"hello", "\ud800".encode(errors="surrogatepass")),
    "an escaped surrogate": HELLO.replace(b"hello", b"\\ud800"),
    "surrogates the wrong way round": HELLO.replace(b"hello", b"\\udc00\\ud800"),
    "a surrogate in a name": HELLO[:-1] + b', "\\ud800": 1}',
    "a surrogate in an element": raw(MsgBody='[{"MsgType":"\\ud800","MsgContent":{}}]'),
    "NaN": raw(MsgSeq="NaN"),
    "NaN where anything goes": raw(Extra="NaN"),
    "infinity": raw(Extra="-Infinity"),
    "a number beyond doubles": raw(Extra="1e999"),
    "a number of 10,000 digits": raw(Extra="1" * 10_000),
    "MsgBody as an object": raw(MsgBody='{"MsgType":"TIMTextElem","MsgContent":{"Text":"x"}}'),
    "MsgBody as a string": raw(MsgBody='"x"'),
    "MsgBody null": raw(MsgBody="null"),
    "an element that is a list": raw(MsgBody="[[]]"),
    "an element without a type": raw(MsgBody='[{"MsgContent":{}}]'),
    "content that is a string": raw(MsgBody='[{"MsgType":"TIMTextElem","MsgContent":"x"}]'),
    "wrong elements": raw(MsgBody="[1,1]"),
    "a sender that is a number": raw(From_Account="1"),
    "no receiver": raw(To_Account="null"),
    "no key": raw(MsgKey="null", MsgSeq="null"),
    "a command that is a list": raw(CallbackCommand="[]"),
    "1 MiB of names": b'{"a":1,' + b",".join(b'"a%d":1' % number for number in range(100_000)) + b"}",
    "1 MiB of blanks": b" " * 2**20,
    "1 MiB of lists": b"[" * 2**20,
    "1 MiB of text": raw(MsgBody=json.dumps([{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 2**20}}])),
    "a byte too many": b" " * (256 * 1024 + 1),
}
HIDING = {
    "10,000 lists": b"[" * 10_000 + b"]" * 10_000,
    "10,000 lists in a field": raw(Extra="[" * 10_000 + "]" * 10_000),
    "10,000 objects in content": raw(
        MsgBody='[{"MsgType":"X","MsgContent":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}]"
    ),
    "10,000 open lists": b"[" * 10_000,
    "50 relays": raw(MsgBody=relays(50)),
    "3,000 relays": raw(MsgBody=relays(3000)),
    "wrong elements in plenty": raw(MsgBody=f"[{','.join('1' * 100_000)}]"),
    "names in plenty": HELLO[:-1] + b"," + b",".join(b'"%d":1' % number for number in range(20_000)) + b"}",
}
"""What a sender may have made so that nobody can judge it."""
READABLE = {
    "unknown fields": raw(Extra='{"a":[1,2.5,null,true]}'),
    "a NUL in the text": HELLO.replace(b"hello", b"\\u0000"),
    "a pair of surrogates": HELLO.replace(b"hello", b"\\ud83d\\ude00"),
    "no element": raw(MsgBody="[]"),
    "an unknown element": raw(MsgBody='[{"MsgType":"TIMFutureElem","MsgContent":{},"More":1}]'),
    "a text that is a number": raw(MsgBody='[{"MsgType":"TIMTextElem","MsgContent":{"Text":7}}]'),
    "a deep element": raw(MsgBody='[{"MsgType":"X","MsgContent":{"a":' + "[" * 50 + "]" * 50 + "}}]"),
    "blanks around it": b" \r\n\t" + HELLO + b"\n",
    "custom data that is JSON": raw(CloudCustomData=json.dumps('{"a": "b"}')),
    "long accounts": raw(From_Account=json.dumps("a" * 100_000)),
}


@pytest.mark.parametrize(("on_error", "expected"), [("allow", 0), ("forbid", 1)])
def test_a_body_that_can_not_be_read_gets_the_configured_answer(
    ask: Callable[..., Asker], redis: Redis, tmp_path: Path, on_error: str, expected: int
) -> None:
    """200 in a documented shape for whatever bytes, without a record, as there is no message to record."""
    app = ask(on_error=on_error)
    before = everything(redis, tmp_path)
    for name, body in UNREADABLE.items():
        assert code(app.post(query(), body)) == expected, name
        group = body.replace(C2C.encode(), GROUP.encode())
        assert code(app.post(query(GROUP), group), GROUP) == expected, name
    assert everything(redis, tmp_path) == before


@pytest.mark.parametrize("on_error", ["allow", "forbid"])
def test_what_nobody_can_judge_is_forbidden_and_recorded(
    ask: Callable[..., Asker], redis: Redis, on_error: str
) -> None:
    """Whatever `on_error` is, which is for failures of ours: relays within relays would hide any word."""
    app = ask(on_error=on_error)
    for name, body in HIDING.items():
        assert code(app.post(query(), body)) == 1, name
        group = body.replace(C2C.encode(), GROUP.encode())
        assert code(app.post(query(GROUP), group), GROUP) == 1, name
    recorded = decisions(redis)
    assert len(recorded) == 2 * len(HIDING)
    assert {(one["verdict"], one["policy"], one["from"]) for one in recorded} == {("forbid", "chain", "")}
    assert all("deep" in one["reason"] or "more than 10000" in one["reason"] for one in recorded)


@pytest.mark.parametrize("levels", [13, 40])
def test_relays_within_relays_hide_no_word(ask: Callable[..., Asker], redis: Redis, levels: int) -> None:
    """More of them than are read are forbidden, as a word in them would be, and recorded with their reason."""
    asked = json.dumps(c2c(1) | {"MsgBody": json.loads(relays(levels))}).encode()
    assert code(ask(on_error="allow").post(query(), asked)) == 1
    (decision,) = decisions(redis)
    assert (decision["verdict"], "deep" in decision["reason"]) == ("forbid", True)


def test_a_body_that_is_strange_and_right_is_judged(ask: Callable[..., Asker]) -> None:
    """A peer's message may have more than we know."""
    app = ask(on_error="forbid")
    for name, body in READABLE.items():
        assert code(app.post(query(), body)) == 0, name


@pytest.mark.parametrize("command", [AFTER, "State.StateChange", "Group.CallbackAfterSendMsg", "", "%00", "x" * 5000])
def test_what_asks_no_question_is_answered_ok(
    ask: Callable[..., Asker], redis: Redis, tmp_path: Path, command: str
) -> None:
    """After-events, unknown commands and the console's empty check pass, whatever their bodies and `on_error` are."""
    app = ask(on_error="forbid", policies="odd_policies:raises")
    before = everything(redis, tmp_path)
    ok = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
    for body in (b"", HELLO, *UNREADABLE.values()):
        response = app.post(query(command), body)
        assert (response.status_code, response.content) == (200, ok), body[:40]
    for body in (b"", b" ", b"\r\n\t"):
        assert app.post(query(), body).content == ok
    assert everything(redis, tmp_path) == before


# --- policies ----------------------------------------------------------------------------------------------------

BROKEN = [
    "raises",
    "raises_in_thread",
    "exits_in_thread",
    "cancelled",
    "times_out",
    "times_out_in_thread",
    "no_verdict",
    "true",
    "a_class",
    "unknown_kind",
    "unhashable_kind",
    "no_elements",
    "seven",
    "wrong_elements",
    "no_json",
    "locked",
    "surrogate",
    "nan",
    "custom_data",
    "a_number",
    "no_text",
    "huge",
    "huge_custom_data",
    "many",
    "in_thread",
    "hangs",
    "hangs_in_thread",
    "sleeps",
    "naps",
]


@pytest.mark.parametrize("policy", BROKEN)
@pytest.mark.parametrize("on_error", ["allow", "forbid"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_policy_gets_the_configured_answer(
    ask: Callable[..., Asker], redis: Redis, on_error: str, policy: str
) -> None:
    """One that raises, hangs or answers nonsense: in time, recorded as what was answered, and as its doing."""
    app = ask(on_error=on_error, policies=f"odd_policies:{policy}", deadline_s=0.6)
    started = time.monotonic()
    assert code(app.post(query())) == {"allow": 0, "forbid": 1}[on_error]
    assert time.monotonic() - started < 1.5
    (decision,) = [one for one in recorded_by(app, redis) if not one["late"]]
    assert decision["verdict"] == on_error
    assert decision["reason"]
    assert decision["policy"]


@pytest.mark.parametrize("policy", BROKEN)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_broken_policy_brings_a_masked_word_back(
    ask: Callable[..., Asker], redis: Redis, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """What is answered, recorded, released and relayed is what the mask has left."""
    recorded: list[Decision] = []
    record = Feed.record

    def look(feed: Feed, decision: Decision, **until: Any) -> Any:  # noqa: ANN401 # as the method
        recorded.append(decision)
        return record(feed, decision, **until)

    monkeypatch.setattr(Feed, "record", look)
    settings = {"blocked_words_action": "mask", "relay_channel": "support", "relay_room": "{To_Account}"}
    app = ask(on_error="allow", policies=f"blocked_words,odd_policies:{policy}", deadline_s=0.6, **settings)
    response = app.post(query(), json.dumps(c2c(1, "the casino")).encode())
    assert code(response) == 0
    masked = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "the ******"}}]
    assert response.json()["MsgBody"] == masked
    (decision,) = [one for one in recorded_by(app, redis) if not one["late"]]
    assert decision["verdict"] == "rewrite"
    assert 'the blocked word "casino"' in decision["reason"]
    assert [(effect["do"], effect["message"]["text"]) for effect in recorded[0].effects] == [
        ("decide", "the ******"),
        ("enqueue", "the ******"),
    ]


@pytest.mark.parametrize(
    ("policy", "expected"), [("forbids_oddly", 1), ("odd", 1), ("forbids_long", 1), ("discards_oddly", 2)]
)
def test_a_verdict_with_odd_parts_keeps_its_meaning(
    ask: Callable[..., Asker], redis: Redis, policy: str, expected: int
) -> None:
    """What a policy forbids is forbidden, also when its code, text or reason are no such thing; and it is recorded."""
    app = ask(policies=f"odd_policies:{policy}")
    assert code(app.post(query())) == expected
    (decision,) = recorded_by(app, redis)
    assert decision["verdict"] == ("forbid" if expected == 1 else "discard")
    assert decision["code"] is None
    assert len(decision["reason"]) <= 512
    assert len(redis.dump("pushlane:1:{decisions}:stream") or b"") < 10_000


@pytest.mark.parametrize(("on_error", "expected"), [("allow", 0), ("forbid", 1)])
def test_a_defect_of_ours_gets_the_configured_answer(
    ask: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch, on_error: str, expected: int
) -> None:
    """No status 500: the platform would deliver what `on_error` forbids."""

    async def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    app = ask(on_error=on_error)
    monkeypatch.setattr(Chain, "judge", fails)
    assert code(app.post(query())) == expected


@pytest.mark.parametrize(("text", "expected"), [("hello", 0), ("casino", 1)])
def test_a_defect_of_ours_changes_no_verdict(
    ask: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    """What was judged stands, also when it can not be recorded."""

    async def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    app = ask(on_error="forbid" if expected == 0 else "allow")
    monkeypatch.setattr(Feed, "record", fails)
    assert code(app.post(query(), json.dumps(c2c(1, text)).encode())) == expected


@pytest.mark.parametrize("on_error", ["allow", "forbid"])
@pytest.mark.parametrize(
    "setting", [{"routing": "odd_policies:route_cancels"}, {"policies": "blocked_words,odd_policies:cancels_at_once"}]
)
def test_who_cancels_the_request_itself_changes_no_verdict(
    ask: Callable[..., Asker], redis: Redis, setting: dict[str, str], on_error: str
) -> None:
    """Status 500 would let the message pass; and what was answered is on record."""
    app = ask(on_error=on_error, **setting)
    assert code(app.post(query())) == 0
    assert code(app.post(query(), json.dumps(c2c(2, "casino")).encode())) == 1
    assert {one["verdict"] for one in recorded_by(app, redis, 2)} == {"allow", "forbid"}


def test_whatever_routing_raises_costs_nobody_the_answer(ask: Callable[..., Asker], redis: Redis) -> None:
    """The message passes, as the policies have said, and goes to no room."""
    app = ask(on_error="forbid", routing="odd_policies:route_times_out")
    assert code(app.post(query())) == 0
    (decision,) = recorded_by(app, redis)
    assert decision["verdict"] == "allow"


def test_the_log_tells_what_failed_but_not_what_it_says(
    ask: Callable[..., Asker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policies, routing and our own defects may quote the message in their errors."""
    lines = LogCapture()
    log = structlog.wrap_logger(None, processors=[lines])
    secret = json.dumps(c2c(1, "canary")).encode()

    async def fails(*_: object, **__: object) -> None:
        raise ValueError("canary")

    app = ask(policies="odd_policies:quotes", routing="odd_policies:route")
    monkeypatch.setattr("pushlane.logs.structlog.get_logger", lambda: log)
    app.post(query(), secret)
    monkeypatch.setattr(Feed, "record", fails)
    app.post(query(), secret)
    failed = [line["event"] for line in lines.entries if line["log_level"] == "error"]
    assert failed == ["policy.failed", "routing.failed"] * 2 + ["decision.failed"]
    assert all("canary" not in str(line) and "exc_info" not in line for line in lines.entries)


def test_nonsense_that_comes_late_is_recorded_as_late(ask: Callable[..., Asker], redis: Redis) -> None:
    """And it stands in the way of no other decision."""
    app = ask(policies="odd_policies:naps", deadline_s=0.6, on_error="forbid")
    assert code(app.post(query())) == 1
    first, late = recorded_by(app, redis, 2)
    assert (first["late"], late["late"], late["verdict"]) == (False, True, "forbid")


def recorded_by(app: Asker, redis: Redis, count: int = 1) -> list[dict[str, Any]]:
    """All that was recorded, once it is so many: on a busy machine they take the way over the disk."""

    def are_there() -> bool:
        app.idle(0.02)
        return len(decisions(redis)) >= count

    wait_until(are_there, "the decisions")
    return decisions(redis)


def decisions(redis: Redis) -> list[dict[str, Any]]:
    """All that was recorded."""
    entries: Any = redis.xrange("pushlane:1:{decisions}:stream")
    return [json.loads(fields[b"decision"]) for _, fields in entries]


# --- anything ----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ELEMENT = st.fixed_dictionaries(
    {"MsgType": st.sampled_from(["TIMTextElem", "TIMCustomElem", "TIMRelayElem", "TIMStreamElem"]) | JSON},
    optional={
        "MsgContent": st.dictionaries(st.sampled_from(["Text", "Data", "Desc", "MsgList", "Chunks"]), JSON) | JSON
    },
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "CallbackCommand": st.sampled_from([C2C, GROUP, AFTER]) | JSON,
        "From_Account": JSON,
        "To_Account": JSON,
        "GroupId": JSON,
        "MsgKey": JSON,
        "Random": JSON,
        "OnlineOnlyFlag": JSON,
        "MsgBody": st.lists(ELEMENT, max_size=4) | JSON,
        "CloudCustomData": JSON,
    },
)
BODY = (
    FIELDS.map(lambda fields: json.dumps(c2c(1) | fields).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.tuples(st.integers(0, len(HELLO)), st.binary(max_size=4)).map(
        lambda at: HELLO[: at[0]] + at[1] + HELLO[at[0] :]
    )
)
HEADER_NAMES = ["X-Forwarded-For", "Content-Type", "Content-Encoding", "Authorization", "Cookie", "Expect", "Forwarded"]
HEADERS = st.dictionaries(st.sampled_from(HEADER_NAMES), st.text(st.characters(min_codepoint=32, max_codepoint=126)))
EXTRA = st.lists(
    st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)).map(lambda pair: "=".join(map(_escaped, pair)))
    | st.sampled_from(["x=%ff", "%", "&&", "Sign=x", "=", ";", "RequestTime=1"]),
    max_size=3,
)


def _escaped(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


@pytest.mark.parametrize("on_error", ["allow", "forbid"])
def test_any_request_gets_401_and_leaves_nothing_or_a_documented_answer(
    ask: Callable[..., Asker], redis: Redis, tmp_path: Path, on_error: str
) -> None:
    """Whatever the bytes, the headers and the rest of the query are."""
    app = ask(on_error=on_error)

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(BODY, HEADERS, EXTRA, st.sampled_from([C2C, GROUP]), st.booleans())
    def check(body: bytes, headers: dict[str, str], extra: list[str], command: str, right: bool) -> None:  # noqa: FBT001 # drawn
        asked = "&".join([query(command, token=TOKEN if right else "x"), *extra])
        before = None if right else everything(redis, tmp_path)
        response = app.post(asked, body, headers=headers)
        if response.status_code == 401:
            assert response.content == b""
            assert not right or extra or names_another(body, command)
            assert before is None or everything(redis, tmp_path) == before
            return
        assert right
        code(response, command)

    check()


def names_another(body: bytes, command: str) -> bool:
    """Whether the body belongs to another command."""
    return bool(json.loads(body)["CallbackCommand"] != command)
