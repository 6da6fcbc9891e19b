"""The commands on a channel of kind `third_party`."""

import json

import pytest
from redis import Redis
from support.channels import claim, push, register
from support.command import pushlane
from support.shell import show
from support.stack import fake_api, third_party_settings

from pushlane.outcome import Outcome

OBJECT = '{"type": 1, "text": "h\u00e9llo"}'
SEND = ("send", "partner", "--user", "u-1", "--json", OBJECT)


@pytest.fixture
def partner(redis: Redis, redis_url: str) -> str:
    """The address of a queue with the channel ``partner``."""
    register(redis, "partner", kind="third_party", batch_limit=1, max_message_bytes=60)
    return redis_url


def test_an_object_is_sent_to_a_user(partner: str) -> None:
    """Its receipt names the user; the same key again is the same message; what is stored is the object."""
    receipt = json.loads(pushlane(*SEND, "--key", "k", "--receipts", redis_url=partner).ok())
    assert (receipt["conversation"], receipt["sequence"], receipt["duplicate"]) == ("u-1", 1, False)
    again = json.loads(pushlane(*SEND, "--key", "k", "--receipts", redis_url=partner).ok())
    assert again == receipt | {"duplicate": True}
    (taken,) = claim(partner, "partner")
    assert taken.records[0].endswith('{"type":1,"text":"héllo"}'.encode())


def test_a_file_has_objects_too(partner: str) -> None:
    """Its lines say user_id and message."""
    stdin = b"".join(b'{"user_id": "u-1", "message": {"n": %d}}\n' % n for n in range(3))
    out = pushlane("send", "partner", "--file", "-", stdin=stdin, redis_url=partner).ok()
    assert out == "3 messages accepted: sequence 1..3\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--user", "u", "--json", "[1]"), ("--json", "must be a JSON object")),
        (("--user", "u", "--json", '{"a": secret}'), ("--json", "not JSON", "character 7")),
        (("--user", "u", "--json", "[" * 9_000), ("--json", "nested too deeply")),
        (("--user", "u", "--json", '{"a": ' + "9" * 5000 + "}"), ("--json", "too long")),
        (("--user", "u", "--json", '{"a": NaN}'), ("--json", "NaN")),
        (("--user", "u", "--json", '{"a": 1, "a": 2}'), ("--json", "a: is given twice")),
        (("--user", "", "--json", "{}"), ("user_id", "empty")),
        (("--user", "u", "--json", json.dumps({"a": "x" * 60})), ("message", "68 bytes", "60")),
        (("--user", "u"), ("--user USER and --json OBJECT",)),
        (("--json", "{}"), ("--user USER and --json OBJECT",)),
        (("--user", "u", "--json", "{}", "hello"), ("--user USER and --json OBJECT",)),
        (("--user", "u", "--json", "{}", "--room", "r", "hello"), ("--user USER and --json OBJECT",)),
        (("--user", "u", "--json", "{}", "--sender-eid", "e"), ("--user USER and --json OBJECT",)),
        (("--user", "u", "--json", "{}", "--file", "-"), ("--file",)),
        (("--room", "r", "hello"), ("'cinnox'", "'third_party'")),
    ],
)
def test_what_the_channel_does_not_take_is_one_line(
    arguments: tuple[str, ...], words: tuple[str, ...], partner: str
) -> None:
    """The line says what would be right and never what the message says; nothing is enqueued."""
    ended = pushlane("send", "partner", *arguments, redis_url=partner)
    ended.refused(2, *words)
    assert "secret" not in ended.err
    assert claim(partner, "partner") == []


def test_an_object_goes_to_no_room(partner: str, redis: Redis) -> None:
    """A channel of rooms says what it is."""
    register(redis)
    pushlane("send", "support", *SEND[2:], redis_url=partner).refused(2, "'third_party'", "'cinnox'")


def test_a_held_object_is_rewritten(partner: str) -> None:
    """`decide` takes the new object as `send` does."""
    line = b'{"user_id": "u", "message": {"n": 1}, "hold": {"key": "k", "timeout_s": 60}}'
    pushlane("send", "partner", "--file", "-", stdin=line, redis_url=partner).ok()
    pushlane("decide", "partner", "k", "rewrite", "--json", '{"n": 2}', redis_url=partner).ok()
    (taken,) = claim(partner, "partner")
    assert taken.records[0].endswith(b'{"n":2}')
    both = pushlane("decide", "partner", "k", "rewrite", "--json", "{}", "--text", "x", redis_url=partner)
    both.refused(2, "exactly one of --text and --json")


def test_a_dead_letter_says_what_it_said_and_is_replayed(partner: str) -> None:
    """`dead show` prints the object in the form in which it was sent."""
    message_id = json.loads(pushlane(*SEND, "--receipts", redis_url=partner).ok())["message_id"]
    push(partner, Outcome.REJECTED, "partner", dead="1", reason="r")
    shown = show(partner, "dead", "show", "partner", message_id)["message"]
    assert shown == {"user_id": "u-1", "message": {"type": 1, "text": "héllo"}}
    pushlane("dead", "replay", "partner", message_id, redis_url=partner).ok()
    (taken,) = claim(partner, "partner")
    assert taken.message_ids == [message_id.encode()]


def test_the_channel_is_registered_listed_and_checked(redis_url: str) -> None:
    """Each command knows the kind and its address; `check` pushes nothing."""
    with fake_api() as api:
        settings = third_party_settings(api.url)
        assert "registered" in pushlane("channel", "register", "partner", redis_url=redis_url, settings=settings).ok()
        (row,) = show(redis_url, "channel", "list", settings=settings)["channels"]
        assert (row["kind"], row["url"], row["rate_limit"]) == ("third_party", f"{api.url}/third-party", None)
        out = pushlane("check", redis_url=redis_url, settings=settings).ok()
        assert f"channel partner: {api.url}/third-party can be reached" in out
        assert api.record().pushes == 0
    ended = pushlane("check", redis_url=redis_url, settings=settings)
    assert ended.code == 1
    assert "PUSHLANE_CHANNELS__PARTNER__URL" in ended.out
