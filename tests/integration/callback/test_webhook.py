"""``/cinnox/webhook``: stored once and then answered, or refused with nothing stored; never a status 500."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.channels import push, register
from support.every_node import url_of
from support.in_process import URL, InProcess
from support.producers import bytes_of, everything
from support.webhook import PATH, TOKEN, bearer, incoming, webhook

from pushlane import Producer, RoomMessage, message_record
from pushlane.callback.app import make_app
from pushlane.callback.cinnox import webhook as route
from pushlane.callback.cinnox.body import Incoming, parse
from pushlane.callback.settings import load_callback_settings
from pushlane.keys import channel_prefix
from pushlane.message_record import read_content

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

PREFIX = channel_prefix("support")
HELLO = json.dumps(incoming()).encode()


class Sender(InProcess):
    """The app, and what CINNOX sends to it."""

    def post(self, body: object = HELLO, headers: Mapping[str, str | bytes] | None = None) -> httpx.Response:
        """The answer to a body, which is made JSON unless it is bytes; with the right token unless told otherwise."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(httpx.URL(URL + PATH), content, bearer() if headers is None else headers)

    def take(self, body: object = HELLO, token: str = TOKEN) -> None:
        """Sends it; it is answered as stored."""
        response = self.post(body, bearer(token))
        assert (response.status_code, response.json()) == (200, {"code": 0})


Open = Callable[..., Sender]


@pytest.fixture
def open_app(redis: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the app with these environments of webhooks, and with ``support`` and ``shop`` registered."""
    register(redis)
    register(redis, "shop", kind="third_party", max_text=0)
    monkeypatch.setenv("PUSHLANE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    opened: list[Sender] = []

    def make(*webhooks: Mapping[str, str]) -> Sender:
        for variables in webhooks:
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
        opened.append(Sender(make_app(load_callback_settings())).__enter__())
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__()


@pytest.fixture
def sender(open_app: Open) -> Sender:
    """A webhook that relays to the user's room in ``support``."""
    return open_app(webhook())


SEQUENCE = message_record.FIELDS["sequence"]


def stored(redis: Redis, channel: str = "support") -> list[tuple[str, Any]]:
    """Conversation and content of each accepted message, in the order of their acceptance."""
    found = [redis.get(key) for key in redis.scan_iter(f"{channel_prefix(channel)}message:*")]
    records = sorted((one for one in found if isinstance(one, bytes)), key=lambda one: int(one[SEQUENCE]))
    return [(conversation, json.loads(body)) for conversation, _, body in map(read_content, records)]


# --- who may ---------------------------------------------------------------------------------------------------------


def test_the_challenge_is_sent_back(sender: Sender, redis: Redis) -> None:
    """What CINNOX does when an operator enters the address; nothing is stored."""
    before = everything(redis)
    response = sender.post({"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "code": 0,
        "result": {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"},
    }
    assert sender.post({"challenge": "é" * 1024}).json()["result"] == {"challenge": "é" * 1024}
    assert everything(redis) == before


@pytest.mark.parametrize("challenge", ["", "x" * 1025, "\ud800", 7, None, ["x"], {}, True])
def test_a_challenge_is_a_string_of_bounded_length(sender: Sender, challenge: object) -> None:
    """Nobody gets back what could be anything."""
    response = sender.post({"challenge": challenge})
    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert response.json()["message"] == "challenge: must be a string of 1 to 1024 characters"


def test_a_message_with_a_challenge_beside_it_is_a_message(sender: Sender, redis: Redis) -> None:
    """CINNOX's event envelopes carry one for its own use."""
    sender.take({**incoming(), "type": "message", "challenge": "(internal use)"})
    assert stored(redis) == [("alice", "hello")]
    assert sender.post({"challenge": "x", "message": {}}).json()["message"] == "userId: is missing"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer(" "),
        bearer("wrong"),
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        bearer(TOKEN.upper()),
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-Authorization": f"Bearer {TOKEN}"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("body", [HELLO, b'{"challenge": "x"}', b"\xff"], ids=["message", "challenge", "bytes"])
def test_a_wrong_token_gets_401_and_nothing_is_stored(
    sender: Sender, redis: Redis, headers: dict[str, str | bytes], body: bytes
) -> None:
    """Whatever the body is; the challenge, too, is answered for those who know the token alone."""
    before = everything(redis)
    response = sender.post(body, headers)
    assert (response.status_code, response.json()["code"]) == (401, 401)
    assert TOKEN not in response.text
    assert everything(redis) == before


def test_two_authorization_headers_are_none(sender: Sender, redis: Redis) -> None:
    """A proxy and this endpoint could each believe another one."""
    before = everything(redis)
    twice = httpx.Headers([("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer wrong")])
    for headers in (twice, httpx.Headers(list(reversed(twice.multi_items())))):
        assert sender.send(httpx.URL(URL + PATH), HELLO, headers.raw).status_code == 401
    assert everything(redis) == before


def test_the_token_decides_the_route(open_app: Open, redis: Redis, tmp_path: Path) -> None:
    """Each webhook has its own channel and room, and two tokens while one of them is changed."""
    (tmp_path / "tokens").write_text("b-old\nb-new\n")
    app = open_app(
        webhook("a", token="a-token", relay_to="im-{message.to.room}"),
        webhook("b", token="", token_file=tmp_path / "tokens", relay_channel="shop"),
    )
    first, second, third = (incoming(number, str(number), to={"room": 7}) for number in (1, 2, 3))
    app.take(first, "a-token")
    app.take(second, "b-old")
    app.take(third, "b-new")
    assert stored(redis) == [("im-7", "1")]
    assert stored(redis, "shop") == [("alice", second["message"]), ("alice", third["message"])]


def test_what_two_webhooks_call_the_same_are_two_messages(open_app: Open, redis: Redis) -> None:
    """Ids are the sender's own."""
    app = open_app(webhook("a", token="a-token"), webhook("b", token="b-token"))
    app.take(incoming(), "a-token")
    app.take(incoming(), "b-token")
    assert stored(redis) == [("alice", "hello")] * 2


# --- repeats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["id", "bytes"])
def test_a_repeat_is_stored_once(sender: Sender, redis: Redis, *, named: bool) -> None:
    """Also after the message has been delivered; and each repeat is told that all is well."""
    body = incoming() if named else {"userId": "alice", "message": {"text": "hello"}}
    for _ in range(3):
        sender.take(body)
    assert stored(redis) == [("alice", "hello")]
    push(url := url_of(redis))
    sender.take(body)
    assert push(url) == []
    assert redis.hget(f"{PREFIX}counters", "accepted") == b"1"


@pytest.mark.parametrize(
    "body",
    [
        {"message": {"text": "hello", "id": "7"}},
        {"message": {"text": "hello", "id": 7}},
        {"message": {"text": "hello", "msgID": "7"}},
        {"message": {"text": "hello", "id": "", "msgID": "7"}},
        {"message": {"text": "hello"}, "msgID": "7"},
    ],
)
def test_the_id_says_what_is_a_repeat_wherever_it_stands(sender: Sender, redis: Redis, body: dict[str, Any]) -> None:
    """What else has changed since, such as a count of tries, makes no second message; another id does."""
    sender.take({"userId": "alice", **body})
    sender.take({"userId": "alice", **body, "retry": 1})
    sender.take({"userId": "bob", **body})
    other = json.loads(json.dumps(body).replace("7", "8"))
    sender.take({"userId": "alice", **other})
    assert stored(redis) == [("alice", "hello"), ("bob", "hello"), ("alice", "hello")]


def test_the_first_of_two_texts_with_one_id_stands(sender: Sender, redis: Redis) -> None:
    """An error would bring the second one again and again."""
    sender.take(incoming(1, "first"))
    with capture_logs() as lines:
        sender.take(incoming(1, "second"))
    assert stored(redis) == [("alice", "first")]
    assert [line["event"] for line in lines if line["event"].startswith("webhook")] == ["webhook.conflict"]


@pytest.mark.parametrize("named", [True, False])
def test_no_client_can_send_it_first(sender: Sender, redis: Redis, *, named: bool) -> None:
    """What a key holder can work out of a message that is to come is the key of another one."""
    body = HELLO if named else json.dumps({"userId": "alice", "message": {"text": "hello"}}).encode()
    coming = parse(body)
    assert isinstance(coming, Incoming)
    key = route._digest("shop", coming).encode("ascii", "ignore").decode()
    window = int(time.time() // route.REPEAT_S)
    keys = [key] if named else [f"{key}/{window + ahead}" for ahead in (-1, 0, 1)]
    with Producer(url_of(redis)) as producer:
        for one in keys:
            producer.send("support", RoomMessage("alice", "first"), idempotency_key=one)
    sender.take(body)
    assert stored(redis)[len(keys) :] == [("alice", "hello")]


def test_without_an_id_the_same_bytes_are_a_repeat_for_minutes(
    sender: Sender, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the edge between two windows, too; but not for ever, as people say "ok" more than once."""
    body = {"userId": "alice", "message": {"text": "ok"}}
    now = 1_000_000 * route.REPEAT_S
    for moment, count in ((now - 1, 1), (now, 1), (now + route.REPEAT_S - 1, 1), (now + route.REPEAT_S, 2)):
        monkeypatch.setattr("pushlane.callback.cinnox.webhook.time.time", lambda moment=moment: float(moment))
        sender.take(body)
        assert len(stored(redis)) == count, moment - now
    sender.take({"userId": "alice", "message": {"text": "ok", "ts": 1}})
    sender.take({"userId": "alice", "message": {"text": "ok"}, "seq": 1})
    assert stored(redis) == [("alice", "ok")] * 4


# --- what is stored --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"message": {"text": "said"}},
        {"message": {"msg": {"text": "said"}}},
        {"message": {"msgText": "said"}},
        {"message": {"type": 1}, "msgText": "said"},
        {"message": {"text": "", "msg": {"text": "said"}}},
        {"message": {"text": 7, "msg": {"text": "said", "more": [1, {"deep": None}]}}},
    ],
)
def test_the_text_is_found_where_it_may_stand(sender: Sender, redis: Redis, body: dict[str, Any]) -> None:
    """In a channel of texts; what is beside it is not looked at."""
    sender.take({"userId": "alice", "new": {"field": 1}, **body})
    assert stored(redis) == [("alice", "said")]


def test_a_message_without_text_goes_to_a_channel_that_takes_objects_alone(open_app: Open, redis: Redis) -> None:
    """A room of texts has no place for a file; its sender need not try again."""
    app = open_app(webhook("a", token="a-token"), webhook("b", token="b-token", relay_channel="shop"))
    file = {"userId": "alice", "message": {"id": "f", "type": 2, "file": {"name": "a.pdf"}}}
    with capture_logs() as lines:
        app.take(file, "a-token")
    assert "webhook.no_text" in [line["event"] for line in lines]
    app.take(file, "b-token")
    assert (stored(redis), stored(redis, "shop")) == ([], [("alice", file["message"])])


def test_an_object_is_passed_on_as_it_came(open_app: Open, redis: Redis) -> None:
    """Large integers, empty arrays and the order of names among it."""
    app = open_app(webhook(relay_channel="shop"))
    text = '{"z":12345678901234567890,"a":[],"e":{},"n":null,"t":"é😀"}'
    app.take(f'{{"userId":"alice","message":{text}}}'.encode())
    (key,) = redis.scan_iter(f"{channel_prefix('shop')}message:*")
    assert read_content(bytes_of(redis.get(key)))[2].decode() == text


def test_the_log_has_a_line_a_webhook_without_what_it_says(sender: Sender, redis: Redis) -> None:
    """Name, message, conversation and whether it was a repeat."""
    with capture_logs() as lines:
        sender.take(incoming(text="a secret word"))
        sender.take(incoming(text="a secret word"))
        sender.post({"userId": "alice", "message": "a secret word"})
        sender.post({"challenge": "a secret word"})
    (key,) = redis.scan_iter(f"{PREFIX}message:*")
    own = [line for line in lines if line["event"].startswith("webhook.")]
    facts = {"webhook": "shop", "message": key.decode().rpartition(":")[2], "conversation": "alice"}
    assert own[:2] == [
        {"event": "webhook.stored", "log_level": "info", **facts, "duplicate": duplicate} for duplicate in (False, True)
    ]
    assert [line["event"] for line in own[2:]] == ["webhook.refused", "webhook.challenged"]
    assert "secret" not in repr(lines)


# --- what can not be stored ------------------------------------------------------------------------------------------


def with_message(message: str) -> bytes:
    """A body with this JSON for the message."""
    return f'{{"userId": "alice", "message": {message}}}'.encode(errors="surrogatepass")


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "body"),
    "no JSON": (b"hello", "body"),
    "half a message": (HELLO[:-10], "body"),
    "NUL": (b"\0", "body"),
    "a list": (b"[]", "body"),
    "null": (b"null", "body"),
    "a string": (b'"x"', "body"),
    "two documents": (HELLO + HELLO, "body"),
    "UTF-16": (HELLO.decode().encode("utf-16"), "body"),
    "UTF-16 without a mark": (HELLO.decode().encode("utf-16-le"), "body"),
    "UTF-32": (HELLO.decode().encode("utf-32"), "body"),
    "a mark of UTF-8": (b"\xef\xbb\xbf" + HELLO, "body"),
    "broken UTF-8": (HELLO.replace(b"hello", b"hell\xff"), "body"),
    "a raw surrogate": (HELLO.replace(b"hello", b"\xed\xa0\x80"), "body"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "body"),
    "a form": (b"userId=alice&message=x", "body"),
    "an empty object": (b"{}", "userId"),
    "no user": (b'{"message": {"text": "x"}}', "userId"),
    "a user that is null": (b'{"userId": null, "message": {"text": "x"}}', "userId"),
    "a user that is a number": (b'{"userId": 7, "message": {"text": "x"}}', "userId"),
    "an empty user": (b'{"userId": "", "message": {"text": "x"}}', "userId"),
    "a user with a line break": (b'{"userId": "a\\nb", "message": {"text": "x"}}', "userId"),
    "a user of 257 bytes": (json.dumps(incoming(user="x" * 257)).encode(), "userId"),
    "a user that is half a character": (b'{"userId": "\\ud800", "message": {"text": "x"}}', "userId"),
    "no message": (b'{"userId": "alice"}', "message"),
    "a message that is null": (with_message("null"), "message"),
    "a message that is a string": (with_message('"x"'), "message"),
    "a message that is a list": (with_message("[]"), "message"),
    "an escaped surrogate": (with_message('{"text": "\\ud800"}'), "message"),
    "surrogates the wrong way round": (with_message('{"text": "\\udc00\\ud800"}'), "message"),
    "a surrogate in a name": (with_message('{"\\udfff": 1}'), "message"),
    "NaN": (with_message('{"text": "x", "n": NaN}'), "body"),
    "NaN beside the message": (HELLO[:-1] + b', "n": NaN}', "body"),
    "infinity": (with_message('{"n": -Infinity}'), "body"),
    "a number beyond doubles": (with_message('{"n": 1e999}'), "body"),
    "a number of 10,000 digits": (with_message(f'{{"n": {"1" * 10_000}}}'), "body"),
    "a name twice": (HELLO[:-1] + b', "userId": "bob"}', "userId"),
    "a name twice within": (with_message('{"text": "a", "text": "b"}'), "text"),
    "65 deep": (with_message('{"a":' * 65 + "1" + "}" * 65), "message"),
    "10,000 lists": (with_message('{"a":' + "[" * 10_000 + "]" * 10_000 + "}"), "body"),
    "10,000 open lists": (b"[" * 10_000, "body"),
    "100,000 lists beside the message": (HELLO[:-1] + b', "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "body"),
    "an object over 64 KiB": (json.dumps(incoming(more="x" * 65_536)).encode(), "message"),
    "a text over 5,000": (json.dumps(incoming(text="x" * 5001)).encode(), "text"),
}


def test_what_can_never_be_stored_is_400_and_names_the_field(sender: Sender, redis: Redis) -> None:
    """Whatever the bytes are: nothing is stored, and neither an error of ours nor their own words come back."""
    before = everything(redis)
    for what, (body, field) in HOSTILE.items():
        response = sender.post(body)
        assert (response.status_code, response.json()["code"]) == (400, 400), what
        assert response.json()["message"].startswith(f"{field}: "), (what, response.json())
        assert len(response.content) < 200, what
    assert everything(redis) == before


def test_a_template_that_the_message_does_not_fill_is_400(open_app: Open, redis: Redis) -> None:
    """Messages of different people must not end in one room for want of a field."""
    app = open_app(webhook(relay_to="im-{message.to.room}"))
    before = everything(redis)
    rooms: list[object] = ["", None, 1.5, True, {}, ["a"]]
    unfit: list[object] = [None, {}, "room", [{"room": 1}], *({"room": room} for room in rooms)]
    for to in unfit:
        response = app.post(incoming(to=to))
        assert response.status_code == 400
        assert response.json()["message"].startswith("message.to.room: must be a string or an integer")
    for room, problem in (("a\u0007b", "control characters"), ("x" * 257, "at most 256 bytes"), (10**300, "256 bytes")):
        for text in ("hello", ""):
            response = app.post(incoming(text=text, to={"room": room}))
            assert (response.status_code, problem in response.json()["message"]) == (400, True)
    assert everything(redis) == before


def test_a_body_that_is_too_large_is_413(sender: Sender, redis: Redis) -> None:
    """It is not read to its end, whatever it would be."""
    before = everything(redis)
    for body in (b" " * (256 * 1024 + 1), b"[" * 2**20):
        response = sender.post(body)
        assert (response.status_code, response.json()) == (
            413,
            {"code": 413, "message": "the body has more than 262144 bytes"},
        )
    assert everything(redis) == before


def test_a_body_that_drips_is_408(sender: Sender, redis: Redis) -> None:
    """Its connection is closed, so that it holds nothing; the sender may come again."""
    before = everything(redis)

    async def drips() -> AsyncIterator[bytes]:
        for part in (HELLO[:20], b" ", b" "):
            yield part
            await asyncio.sleep(0.6)
        yield HELLO[20:]

    response = sender.send(httpx.URL(URL + PATH), drips(), bearer())
    assert (response.status_code, response.headers["Connection"]) == (408, "close")
    assert response.json() == {"code": 408, "message": "the body did not arrive within 1 s"}
    assert everything(redis) == before


def test_what_can_be_stored_later_is_503(open_app: Open, redis: Redis) -> None:
    """A channel that no worker has registered yet, and one that is full; the sender's next try is stored."""
    app = open_app(webhook("a", token="a-token", relay_channel="later"), webhook("b", token="b-token"))
    before = everything(redis)
    response = app.post(HELLO, bearer("a-token"))
    assert (response.status_code, response.json()["code"]) == (503, 503)
    assert response.json()["message"] == "the webhook's channel is not registered yet: try again"
    assert everything(redis) == before
    register(redis, "later")
    app.take(HELLO, "a-token")
    register(redis, max_queued=1)
    app.take(incoming(1), "b-token")
    response = app.post(incoming(2), bearer("b-token"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json() == {"code": 503, "message": "the queue is full: try again"}
    app.take(incoming(1), "b-token")
    register(redis)
    app.take(incoming(2), "b-token")
    assert len(stored(redis)) == 2


def test_only_posts_to_the_one_address_are_taken(sender: Sender) -> None:
    """No page describes the service, and no redirect repeats the request elsewhere."""
    for path in (PATH + "/", "/cinnox", PATH + "x"):
        assert sender.send(httpx.URL(URL + path), HELLO, bearer()).status_code == 404


def test_without_a_webhook_there_is_no_such_address(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens that nobody has configured."""
    monkeypatch.setenv("PUSHLANE_API_KEYS__A__KEY", "k")
    monkeypatch.setenv("PUSHLANE_API_KEYS__A__CHANNELS", "support")
    assert open_app().post().status_code == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.dictionaries(st.sampled_from(["id", "msgID", "text", "msg", "msgText", "to", "ts"]), JSON, max_size=4)
FIELDS = st.fixed_dictionaries(
    {},
    optional={"userId": st.text() | JSON, "message": MESSAGE | JSON, "msgID": JSON, "msgText": JSON, "challenge": JSON},
)
BODY = (
    FIELDS.map(lambda fields: json.dumps(fields).encode())
    | st.binary(max_size=200)
    | st.tuples(st.integers(0, len(HELLO)), st.binary(max_size=4)).map(
        lambda at: HELLO[: at[0]] + at[1] + HELLO[at[0] :]
    )
)


def test_any_body_is_stored_or_refused(open_app: Open) -> None:
    """Whatever the bytes are: 200 or 400 in the documented form."""
    app = open_app(webhook(relay_to="{userId}-{message.to}"))

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(BODY)
    def check(body: bytes) -> None:
        response = app.post(body)
        assert response.status_code in {200, 400}, response.text
        answer = response.json()
        assert answer["code"] == (0 if response.status_code == 200 else 400)
        assert set(answer) <= ({"code", "result"} if response.status_code == 200 else {"code", "message"})

    check()
