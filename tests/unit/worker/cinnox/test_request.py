"""What a push to CINNOX looks like."""

import json

import pytest
from support.channels import channel_with
from support.cinnox import token

from pushlane_worker.channels import KINDS
from pushlane_worker.channels.cinnox import Cinnox


def test_the_registry_knows_the_kind() -> None:
    """A channel's KIND setting finds its class and its limits."""
    kind = KINDS["cinnox"]
    assert kind is Cinnox
    assert (kind.kind, kind.batch_limit, kind.max_text) == ("cinnox", 10, 5000)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (b"", {}),
        (b'["s-1","r-1"]', {"senderEID": "s-1", "receiverEID": "r-1"}),
        (b'["s-1",null]', {"senderEID": "s-1"}),
        (b'[null,"r-1"]', {"receiverEID": "r-1"}),
        (b"[null,null]", {}),
        ('["s \\"ü\\"",null]'.encode(), {"senderEID": 's "ü"'}),
    ],
)
def test_the_body_names_only_those_who_are_given(cinnox: Cinnox, address: bytes, expected: dict[str, str]) -> None:
    """An absent sender or receiver is left out, not null."""
    body = json.loads(cinnox.request("room", address, [b'"hi"']).read())
    assert body == {"roomID": "room", **expected, "messages": [{"type": "text", "text": "hi"}]}


@pytest.mark.parametrize("count", [1, 2, 10])
def test_stored_texts_are_inserted_in_order_and_untouched(cinnox: Cinnox, count: int) -> None:
    """The worker neither parses nor serialises a text again: escapes stay as the producer wrote them."""
    bodies = [f'"{number} \\u00fc ü \\" \\\\ \\n }},{{"'.encode() for number in range(count)]
    content = cinnox.request("room", b"", bodies).read()
    assert all(body in content for body in bodies)
    assert [message["text"] for message in json.loads(content)["messages"]] == [json.loads(body) for body in bodies]


@pytest.mark.parametrize("room", ["room", 'a"b\\c', "ü 漢 🙂", "\x00\n", "</script>"])
def test_a_room_of_any_name_is_escaped(cinnox: Cinnox, room: str) -> None:
    """A room id is data and cannot write into the body."""
    assert json.loads(cinnox.request(room, b"", [b'""']).read())["roomID"] == room


def test_the_headers_are_complete(cinnox: Cinnox) -> None:
    """Any httpx transport can send the request as it is."""
    request = cinnox.request("room", b"", [b'"hi"'])
    headers = dict(request.headers)
    assert headers.pop("user-agent").startswith("pushlane/")
    assert headers == {
        "host": "api.example.com",
        "authorization": "Bearer token",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": str(len(request.read())),
    }
    assert request.method == "POST"


@pytest.mark.parametrize(
    ("base_url", "app_id", "url"),
    [
        ("https://h", "app", "https://h/v1/api/apps/app/message-push"),
        ("https://h/", "app", "https://h/v1/api/apps/app/message-push"),
        ("https://h:8443/eu/", "app", "https://h:8443/eu/v1/api/apps/app/message-push"),
        ("https://h", "a/b?c#d e%ü", "https://h/v1/api/apps/a%2Fb%3Fc%23d%20e%25%C3%BC/message-push"),
    ],
)
def test_the_app_id_is_one_part_of_the_path(base_url: str, app_id: str, url: str) -> None:
    """Whatever the id holds, it cannot lead elsewhere."""
    made = Cinnox(channel_with(base_url=base_url, app_id=app_id), token)
    assert str(made.request("r", b"", [b'""']).url) == url


def test_a_new_token_is_used_at_once() -> None:
    """A token that is read again needs no restart."""
    tokens = iter(["one", "one", "two"])
    cinnox = Cinnox(channel_with(), lambda: next(tokens))
    sent = [cinnox.request("room", b"", [b'""']).headers["authorization"] for _ in range(3)]
    assert sent == ["Bearer one", "Bearer one", "Bearer two"]
