"""What is asked: whatever the body, it gets 200 and one of the documented answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.callback import C2C, c2c, query
from support.questions import AFTER, HELLO, Asker, code, decisions, everything

from pushlane.callback.tencent.question import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

pytestmark = pytest.mark.long


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
