"""Deciding on held messages, by command and over HTTP, and reading what moderation has decided."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from redis import Redis
from support.callback import Callback, c2c, callback, moderation
from support.channels import claim, register
from support.command import EMPTY_FOLDER, pushlane
from support.processes import environment, installed, running
from support.shell import show
from support.waiting import wait_until

from pushlane import Hold, Producer, RoomMessage, ThirdPartyMessage
from pushlane_worker.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.long


KEY = "k3y-of-billing"
KEYS = {
    "PUSHLANE_API_KEYS__BILLING__KEY": KEY,
    "PUSHLANE_API_KEYS__BILLING__CHANNELS": "support,unregistered",
    "PUSHLANE_API_KEYS__SHOP__KEY": "k3y-of-shop",
    "PUSHLANE_API_KEYS__SHOP__CHANNELS": "shop",
}
HELLO = RoomMessage("r", "hello")
STRANGE_KEYS = ["plain", "a/b//c/", "/first", "100% a%2Fb", "für dich? ja!", "钥匙;=&+", "..", "a b#c", "k" * 256]


@pytest.fixture
def producer(support: str) -> Iterator[Producer]:
    """A producer for the channel ``support``."""
    with Producer(support) as producer:
        yield producer


@pytest.fixture
def http(support: str, tmp_path: Path) -> Iterator[Callback]:
    """A callback that only takes decisions."""
    with callback(tmp_path, support, KEYS) as running_callback:
        yield running_callback


def held(producer: Producer, key: str, text: str = "hello") -> str:
    """The id of a message that waits for a decision on the key."""
    receipt = producer.send("support", RoomMessage("r", text), hold=Hold(key, 60))
    assert receipt.state == "held"
    return receipt.message_id


def state(producer: Producer, message_id: str) -> tuple[str, str | None, str | None]:
    """What a message's producer learns of it."""
    status = producer.status("support", message_id)
    assert status is not None
    return status.state, status.reason, status.detail


def post(
    http: Callback, key: str, document: object, *, channel: str = "support", token: str | None = KEY
) -> httpx.Response:
    """A decision over HTTP, its key percent-encoded as a path has it."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    # As a raw target: a client's address would resolve dots.
    target = f"/v1/channels/{channel}/decisions/{quote(key, safe='/')}".encode()
    with httpx.Client() as client:
        return client.post(http.url, content=body, headers=headers, extensions={"target": target})


# --- pushlane decide -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "standing", "expected"),
    [
        (("allow",), "allow", ("queued", None, None)),
        (("rewrite", "--text", "*** \u2713"), "rewrite", ("queued", None, None)),
        (("forbid", "--reason", "not nice"), "forbid", ("dead", "forbidden", "not nice")),
        (("forbid",), "forbid", ("dead", "forbidden", "the decision was forbid")),
        (("discard",), "discard", ("dead", "forbidden", "the decision was discard")),
        (("discard", "--reason", "not nice"), "discard", ("dead", "forbidden", "not nice")),
    ],
)
def test_each_verdict_is_decided(
    support: str,
    producer: Producer,
    words: tuple[str, ...],
    standing: str,
    expected: tuple[str, str | None, str | None],
) -> None:
    """It says what stands; the same once more is no failure, another one is and changes nothing."""
    message_id = held(producer, "order/7")
    command = ("decide", "support", "order/7", *words)
    assert pushlane(*command, redis_url=support).ok() == f"order/7: {standing}\n"
    assert state(producer, message_id) == expected
    assert pushlane(*command, redis_url=support).ok().startswith(f"order/7: {standing}; nothing waits for it now")
    other = "forbid" if standing == "allow" else "allow"
    ended = pushlane("decide", "support", "order/7", other, redis_url=support)
    ended.refused(1, "'order/7'", "'support'", "decided before", standing.replace("discard", "forbid"))
    assert state(producer, message_id) == expected
    if words[0] == "rewrite":
        ended = pushlane("decide", "support", "order/7", "rewrite", "--text", "another", redis_url=support)
        ended.refused(1, "'order/7'", "'support'", "decided before", "another text", "rewrite")
        (taken,) = claim(support)
        assert taken.records[0].endswith(json.dumps("*** \u2713", ensure_ascii=False).encode())


def test_a_decision_may_come_before_its_message(support: str, producer: Producer) -> None:
    """Nothing has to wait for it yet; but somebody who has mistyped the key learns that nothing does."""
    told = pushlane("decide", "support", "k", "allow", redis_url=support).ok()
    assert told == "k: allow; nothing waits for it now, and the decision is kept for 8 days\n"
    assert producer.send("support", HELLO, hold=Hold("k", 60)).state == "queued"


def test_a_key_of_any_script_is_taken(support: str, producer: Producer) -> None:
    """As it is; nothing of it steers the terminal."""
    message_id = held(producer, "钥匙 für/7")
    assert pushlane("decide", "support", "钥匙 für/7", "allow", redis_url=support).ok() == "钥匙 für/7: allow\n"
    assert state(producer, message_id)[0] == "queued"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("CHANNEL",)),
        (("support", "k"), ("Missing argument", "discard")),
        (("support", "k", "maybe"), ("maybe", "allow", "discard")),
        (("support", "k", "rewrite"), ("--text",)),
        (("support", "k", "allow", "--text", "x"), ("--text",)),
        (("support", "k", "allow", "--reason", "x"), ("--reason", "forbid", "allow")),
        (("support", "k", "rewrite", "--text", "x", "--reason", "x"), ("--reason", "forbid", "rewrite")),
        (("support", "k", "rewrite", "--text", ""), ("text", "empty")),
        (("support", "k", "rewrite", "--text", "x" * 5001), ("text", "5000")),
        (("support", "", "allow"), ("key", "empty")),
        (("support", "k" * 257, "allow"), ("key", "256")),
        (("support", "a\nb", "allow"), ("key", "control")),
        (("support", "\udcff", "allow"), ("KEY", "UTF-8")),
        (("Not A Channel", "k", "allow"), ("channel",)),
        (("nobody", "k", "allow"), ("nobody",)),
    ],
    ids=repr,
)
def test_wrong_use_attempts_nothing(support: str, redis: Redis, words: tuple[str, ...], told: tuple[str, ...]) -> None:
    """One line names what is wrong; exit 2."""
    pushlane("decide", *words, redis_url=support).refused(2, *told)
    assert list(redis.scan_iter("*decision:*")) == []


def test_without_redis_a_decision_fails() -> None:
    """Exit 1, with the setting that says where it should be."""
    ended = pushlane("decide", "support", "k", "allow", redis_url="redis://127.0.0.1:1/0")
    ended.refused(1, "PUSHLANE_REDIS_URL")


# --- over HTTP -------------------------------------------------------------------------------------------------------


def test_a_decision_over_http_is_the_same(http: Callback, producer: Producer) -> None:
    """200 with what was asked for, also the second time."""
    message_id = held(producer, "k")
    for again in ({"verdict": "forbid", "reason": "not nice"}, {"verdict": "forbid"}, {"verdict": "discard"}):
        answer = post(http, "k", again)
        assert (answer.status_code, answer.json()) == (200, {"key": "k", "verdict": again["verdict"]})
        assert state(producer, message_id) == ("dead", "forbidden", "not nice")


def test_a_decision_over_http_that_was_made_otherwise_is_a_conflict(http: Callback, producer: Producer) -> None:
    """409 with the verdict that stands, also for a rewrite with another text; nothing changes."""
    rewrite = {"verdict": "rewrite", "message": {"room_id": "-", "text": "***"}}
    cases: list[tuple[str, Mapping[str, object], Mapping[str, object]]] = [
        ("forbidden", {"verdict": "forbid"}, {"verdict": "allow"}),
        ("allowed", {"verdict": "allow"}, {"verdict": "discard"}),
        ("rewritten", rewrite, {"verdict": "rewrite", "message": {"room_id": "-", "text": "###"}}),
    ]
    for key, first, second in cases:
        message_id = held(producer, key)
        assert post(http, key, first).status_code == 200
        before = state(producer, message_id)
        answer = post(http, key, second)
        told = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert (told["verdict"], "decided before" in told["detail"]) == (first["verdict"], True)
        assert ("***" in answer.text, "###" in answer.text, state(producer, message_id)) == (False, False, before)
        assert post(http, key, first).status_code == 200


def test_a_rewrite_over_http_carries_a_message(http: Callback, support: str, producer: Producer) -> None:
    """Of which only what it says counts; null is nothing."""
    held(producer, "k")
    document = {"verdict": "rewrite", "message": {"room_id": "elsewhere", "text": "***"}, "reason": None}
    assert post(http, "k", document).json() == {"key": "k", "verdict": "rewrite"}
    (taken,) = claim(support)
    assert (taken.conversation, taken.records[0][-5:]) == (b"r", b'"***"')
    assert post(http, "other", {"verdict": "discard", "message": None}).json()["verdict"] == "discard"


def test_any_key_goes_through_a_path(http: Callback, producer: Producer) -> None:
    """Slashes, percent signs, blanks and other scripts, once they are percent-encoded."""
    for key in STRANGE_KEYS:
        message_id = held(producer, key)
        answer = post(http, key, {"verdict": "forbid"})
        assert answer.status_code == 200, (key, answer.text)
        assert answer.json()["key"] == key
        assert state(producer, message_id)[0] == "dead"
        message_id = held(producer, f"{key[:255]}!")
        answer = httpx.post(
            f"{http.url}/v1/channels/support/decisions/{quote(key[:255] + '!', safe='')}",
            json={"verdict": "allow"},
            headers={"Authorization": f"bearer  {KEY}"},
        )
        assert answer.json() == {"key": f"{key[:255]}!", "verdict": "allow"}


@pytest.mark.parametrize("token", [None, "none", "wrong", "kéy"])
def test_without_a_key_nothing_is_decided(http: Callback, producer: Producer, token: str | None) -> None:
    """401, in the form of a problem, whatever the channel."""
    message_id = held(producer, "k")
    headers: dict[str, str | bytes] = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    for channel in ("support", "nobody"):
        url = f"{http.url}/v1/channels/{channel}/decisions/k"
        answer = httpx.post(url, json={"verdict": "allow"}, headers=headers)  # type: ignore[arg-type] # bytes as well
        assert (answer.status_code, answer.json()["status"]) == (401, 401)
        assert answer.headers["content-type"] == "application/problem+json"
    assert state(producer, message_id)[0] == "held"


def test_a_key_is_for_its_channels(http: Callback, producer: Producer) -> None:
    """403 for any other one, whether that exists or not; 404 for one of its own that nobody has registered."""
    message_id = held(producer, "k")
    assert post(http, "k", {"verdict": "allow"}, token="k3y-of-shop").status_code == 403
    assert post(http, "k", {"verdict": "allow"}, channel="nobody").status_code == 403
    answer = post(http, "k", {"verdict": "allow"}, channel="unregistered")
    assert (answer.status_code, "unregistered" in answer.json()["detail"]) == (404, True)
    assert state(producer, message_id)[0] == "held"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"\xff", "body"),
        (b"[1]", "body"),
        (b"[" * 100_000, "body"),
        (b'{"verdict": "allow", "text": "x"}', "body"),
        (b"{}", "verdict"),
        (b'{"verdict": "maybe"}', "verdict"),
        (b'{"verdict": ["allow"]}', "verdict"),
        (b'{"verdict": "rewrite"}', "message"),
        (b'{"verdict": "allow", "message": {"room_id": "r", "text": "x"}}', "message"),
        (b'{"verdict": "rewrite", "message": "x"}', "message"),
        (b'{"verdict": "rewrite", "message": {"room_id": "r"}}', "text"),
        (b'{"verdict": "rewrite", "message": {"user_id": "u", "message": {}}}', "message"),
        (b'{"verdict": "forbid", "reason": 7}', "reason"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_no_decision_is_refused(http: Callback, redis: Redis, body: bytes, field: str) -> None:
    """422 with the field; nothing is decided."""
    answer = post(http, "k", body)
    assert (answer.status_code, answer.json().get("field")) == (422, field)
    assert list(redis.scan_iter("*decision:*")) == []


def test_a_key_that_is_none_and_a_body_without_end_are_refused(http: Callback, redis: Redis) -> None:
    """422 for the key, 413 for more than 256 KiB; no other method is allowed."""
    for key in ("", "k" * 257, "a\tb"):
        answer = post(http, key, {"verdict": "allow"})
        assert (answer.status_code, answer.json()["field"]) == (422, "key")
    answer = post(http, "k", b'{"verdict": "allow"' + b" " * 256 * 1024 + b"}")
    assert answer.status_code == 413
    assert httpx.get(f"{http.url}/v1/channels/support/decisions/k").status_code == 405
    assert list(redis.scan_iter("*decision:*")) == []


def test_without_redis_a_decision_over_http_may_be_tried_again(tmp_path: Path) -> None:
    """503 with a Retry-After, whether it is frozen or gone; the same process decides once it is back."""
    with EmbeddedServer(append_only=True) as server:
        with Redis.from_url(server.url) as client:
            register(client)
        with callback(tmp_path, server.url, KEYS) as http:
            assert post(http, "before", {"verdict": "allow"}).status_code == 200
            server.kill()
            answer = post(http, "k", {"verdict": "allow"})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            server.restart()
            assert post(http, "k", {"verdict": "forbid"}).json()["verdict"] == "forbid"
            server.pause()
            try:
                assert post(http, "k", {"verdict": "allow"}).status_code == 503
            finally:
                server.resume()
            answer = post(http, "before", {"verdict": "forbid"})
            assert (answer.status_code, answer.json()["verdict"]) == (409, "allow")


# --- pushlane decisions ----------------------------------------------------------------------------------------------


def lines(url: str, *words: str) -> list[dict[str, Any]]:
    """What `pushlane decisions --json` prints."""
    return [json.loads(line) for line in pushlane("decisions", "--json", *words, redis_url=url).ok().splitlines()]


def test_decisions_are_listed_the_oldest_first(support: str, tmp_path: Path) -> None:
    """A line each, of the latest ones; who, what and why, and nothing that the message said."""
    assert pushlane("decisions", redis_url=support).ok() == ""
    with callback(tmp_path, support, moderation(tmp_path)) as asked, httpx.Client() as client:
        asked.ask(client, c2c(1, "s3cret hello"))
        asked.ask(client, c2c(2, "s3cret casino"))
        asked.ask(client, c2c(2, "s3cret casino"))
        asked.ask(client, c2c(3, "s3cret", From_Account="a\x1b[2Jb"))
    documents = lines(support)
    assert [one["verdict"] for one in documents] == ["allow", "forbid", "allow"]
    assert (documents[1]["from"], documents[1]["to"], documents[1]["policy"]) == ("alice", "bob", "blocked_words")
    assert [one["message"] for one in lines(support, "--limit", "2")] == ["2_2_1557481126", "3_3_1557481126"]
    assert lines(support, "--limit", "0") == []
    out = pushlane("decisions", redis_url=support).ok()
    assert "s3cret" not in out + json.dumps(documents)
    assert "\x1b" not in out
    first, second, _ = out.splitlines()
    assert "  allow  alice to bob  1_1_1557481126" in first
    assert "  forbid  alice to bob  2_2_1557481126  (blocked_words: " in second
    pushlane("decisions", "--limit", "-1", redis_url=support).refused(2, "--limit")


@pytest.mark.parametrize("limit", ["0", "1", "50"])
def test_decisions_are_followed_until_ctrl_c(support: str, tmp_path: Path, limit: str) -> None:
    """Those that come are printed as they come, once; it ends as Ctrl-C does."""
    log = tmp_path / "follow.log"
    words = [installed("pushlane"), "decisions", "--follow", "--json", "--limit", limit]
    env = environment(PUSHLANE_REDIS_URL=support)
    with callback(tmp_path, support, moderation(tmp_path)) as asked, httpx.Client() as client:
        for number in (1, 2):
            asked.ask(client, c2c(number))
        with running(words, env=env, cwd=tmp_path, log=log) as process:
            printed = min(int(limit), 2)
            _wait_until_it_reads(support)
            wait_until(lambda: log.read_text().count("\n") == printed, "those that were there")
            for number in (3, 4):
                asked.ask(client, c2c(number))
            wait_until(lambda: log.read_text().count("\n") >= printed + 2, "those that came")
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
    messages = [int(json.loads(line)["message"].split("_")[0]) for line in log.read_text().splitlines() if line]
    assert messages == [1, 2, 3, 4][2 - printed :]


def test_decisions_can_be_followed_from_the_very_first(support: str, tmp_path: Path) -> None:
    """With none there yet; for a person as well."""
    log = tmp_path / "follow.log"
    words = [installed("pushlane"), "decisions", "--follow"]
    with callback(tmp_path, support, moderation(tmp_path)) as asked, httpx.Client() as client:
        env = environment(PUSHLANE_REDIS_URL=support)
        with running(words, env=env, cwd=tmp_path, log=log) as process:
            _wait_until_it_reads(support)
            asked.ask(client, c2c(1))
            wait_until(lambda: log.read_text().count("\n") == 1, "the first decision")
            process.send_signal(signal.SIGINT)
            process.wait(10)
    assert "allow  alice to bob" in log.read_text()


def test_following_ends_with_one_line_when_redis_goes() -> None:
    """Exit 1: whoever follows must know that nothing more comes."""
    with EmbeddedServer() as server:
        process = subprocess.Popen(
            [installed("pushlane"), "decisions", "--follow"],
            env=environment(PUSHLANE_REDIS_URL=server.url),
            cwd=EMPTY_FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            _wait_until_it_reads(server.url)
            server.kill()
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("pushlane: PUSHLANE_REDIS_URL")


def _wait_until_it_reads(url: str) -> None:
    with Redis.from_url(url) as client:
        wait_until(lambda: any(one["cmd"] == "xread" for one in client.client_list()), "the command to follow")


# --- what an operator sees -------------------------------------------------------------------------------------------


def test_a_held_room_is_among_the_blocked_ones(support: str, producer: Producer) -> None:
    """Until when, and how many wait behind; `status` counts it."""
    message_id = held(producer, "k")
    producer.send("support", HELLO)
    status = show(support, "message", "support", message_id)
    assert (status["state"], status["detail"]) == ("held", "waiting for a decision on k")
    (one,) = show(support, "blocked", "support")["blocked"]
    assert (one["state"], one["next_try"], one["behind"]) == ("held", status["due_at"], 1)
    assert one["why"] == "held: its head waits for a decision"
    (channel,) = show(support, "status", "support")["channels"]
    assert (channel["held"], channel["blocked"], channel["depth"]) == (1, 1, 2)
    pushlane("decide", "support", "k", "allow", redis_url=support).ok()
    assert show(support, "blocked", "support")["blocked"] == []
    assert show(support, "status", "support")["channels"][0]["held"] == 0


def test_an_object_is_rewritten_over_http_alone(redis: Redis, support: str, tmp_path: Path) -> None:
    """`--text` is for channels of rooms; the other kind says so."""
    register(redis, "objects", kind="third_party")
    settings: Mapping[str, str] = {**KEYS, "PUSHLANE_API_KEYS__BILLING__CHANNELS": "objects"}
    ended = pushlane("decide", "objects", "k", "rewrite", "--text", "x", redis_url=support)
    ended.refused(2, "third_party")
    with Producer(support) as producer, callback(tmp_path, support, settings) as http:
        receipt = producer.send("objects", ThirdPartyMessage("u", {"a": 1}), hold=Hold("k", 60))
        document = {"verdict": "rewrite", "message": {"user_id": "-", "message": {"a": 2}}}
        assert post(http, "k", document, channel="objects").json()["verdict"] == "rewrite"
        status = producer.status("objects", receipt.message_id)
        assert status is not None
        assert status.state == "queued"
    record: Any = redis.get(f"pushlane:1:{{objects}}:message:{receipt.message_id}")
    assert record.endswith(b'{"a":2}')


def test_a_line_of_a_file_can_be_held(support: str, producer: Producer) -> None:
    """As over any other way in."""
    line = {"room_id": "r", "text": "x", "hold": {"key": "k", "timeout_s": 60, "on_timeout": "release"}}
    stdin = json.dumps(line).encode()
    receipt = json.loads(pushlane("send", "support", "--file", "-", "--receipts", stdin=stdin, redis_url=support).ok())
    assert (receipt["state"], state(producer, receipt["message_id"])[0]) == ("held", "held")
