"""What a push of a third-party message looks like, and what each answer to it means."""

import json

import pytest
from support.channels import channel_with

from pushlane import ThirdPartyMessage
from pushlane.outcome import Outcome
from pushlane_worker.channels import KINDS
from pushlane_worker.channels.third_party import MAX_CID_CHARS, ThirdParty
from pushlane_worker.queue.outcome import Answer

URL = "https://hook.example.com/from%20CINNOX/webhookUrl"
SETTINGS = channel_with("third_party", url=URL)


@pytest.fixture
def third_party() -> ThirdParty:
    """A channel without codes of its operator's."""
    return ThirdParty(SETTINGS, lambda: "token")


def answer(document: object, status: int = 200) -> Answer:
    """An answer of JSON."""
    return Answer(status, {}, json.dumps(document).encode())


# --- the request -------------------------------------------------------------------------------------------------


def test_the_registry_knows_the_kind() -> None:
    """A channel's KIND setting finds its class; one message goes into a push, and it is no text."""
    kind = KINDS["third_party"]
    assert kind is ThirdParty
    assert (kind.kind, kind.batch_limit, kind.max_text) == ("third_party", 1, None)


@pytest.mark.parametrize(
    "message",
    [{}, {"type": 1, "text": "hi"}, {"id": 12_345_678_901_234_567_890, "none": [], "ü": '\u2028 🙂 "}}'}],
)
def test_a_stored_object_is_inserted_untouched(third_party: ThirdParty, message: dict[str, object]) -> None:
    """The worker neither parses nor serialises the object again."""
    stored = ThirdPartyMessage("user", message).body
    content = third_party.request("user", b"", [stored]).read()
    assert content == b'{"userId":"user","message":' + stored + b"}"
    assert json.loads(content) == {"userId": "user", "message": message}


@pytest.mark.parametrize("user", ["user", 'a"b\\c', "ü 漢 🙂", "</script>"])
def test_a_user_of_any_name_is_escaped(third_party: ThirdParty, user: str) -> None:
    """A user id is data and cannot write into the body."""
    assert json.loads(third_party.request(user, b"", [b"{}"]).read())["userId"] == user


def test_the_request_is_complete(third_party: ThirdParty) -> None:
    """It goes to the configured address as it was configured, with the documented headers."""
    request = third_party.request("user", b"", [b"{}"])
    headers = dict(request.headers)
    assert headers.pop("user-agent").startswith("pushlane/")
    assert headers == {
        "host": "hook.example.com",
        "authorization": "Bearer token",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": str(len(request.read())),
    }
    assert (request.method, str(request.url)) == ("POST", URL)


def test_a_new_token_is_used_at_once() -> None:
    """A token that is read again needs no restart."""
    tokens = iter(["one", "two"])
    kind = ThirdParty(SETTINGS, lambda: next(tokens))
    sent = [kind.request("user", b"", [b"{}"]).headers["authorization"] for _ in range(2)]
    assert sent == ["Bearer one", "Bearer two"]


# --- the outcome -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["0", "0.0", "-0.0"])
@pytest.mark.parametrize(
    "others", ["", ',"result":{},"message":"ok","cid":"c-1","count":1.0,"total":1.0', ',"cid":null,"count":"many"']
)
def test_code_0_is_delivered_whatever_else_is_there(third_party: ThirdParty, code: str, others: str) -> None:
    """The page calls every other field a type and nothing more, so none is needed and none is judged."""
    said = Answer(201, {}, f'{{"code":{code}{others}}}'.encode())
    assert third_party.read(said).outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (6451010, Outcome.THROTTLED),
        (6450001, Outcome.MISCONFIGURED),
        (6451000, Outcome.REJECTED),
        (3000205, Outcome.REJECTED),
        (6451001, Outcome.FAILED),
        (7000001, Outcome.FAILED),
    ],
)
def test_cinnoxs_codes_mean_what_they_mean_elsewhere(third_party: ThirdParty, code: int, outcome: Outcome) -> None:
    """The two kinds share one table."""
    assert third_party.read(answer({"code": code})).outcome is outcome


def test_an_operator_can_list_codes() -> None:
    """RETRY_CODES and REJECT_CODES hold for this kind too."""
    settings = channel_with("third_party", retry_codes={6451000}, reject_codes={7000001})
    kind = ThirdParty(settings, lambda: "token")
    assert kind.read(answer({"code": 6451000})).outcome is Outcome.FAILED
    assert kind.read(answer({"code": 7000001})).outcome is Outcome.REJECTED


@pytest.mark.parametrize("body", [b"", b"OK", b'{"cid":"c-1"}', b'{"code":"0"}'])
def test_a_success_that_can_not_be_read_is_unknown(third_party: ThirdParty, body: bytes) -> None:
    """It may have been delivered, so it is neither claimed nor denied."""
    assert third_party.read(Answer(200, {}, body)).outcome is Outcome.UNKNOWN


# --- the log -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(200, 0), (400, 6451000), (503, 503)])
def test_the_cid_goes_into_the_log(third_party: ThirdParty, status: int, code: int) -> None:
    """Whatever became of the push, the other side's own name for it is there."""
    assert third_party.read(answer({"code": code, "cid": "c-1"}, status)).log == {"cid": "c-1"}


@pytest.mark.parametrize("cid", ["", None, 7, ["c"], {}])
def test_a_cid_that_is_no_text_is_not_logged(third_party: ThirdParty, cid: object) -> None:
    """An optional field of another type costs nothing."""
    result = third_party.read(answer({"code": 0, "cid": cid}))
    assert (result.outcome, result.log) == (Outcome.DELIVERED, {})


def test_a_cid_is_one_printable_line_of_bounded_length(third_party: ThirdParty) -> None:
    """A peer can neither forge a line of the log nor fill it."""
    logged = third_party.read(answer({"code": 0, "cid": "a\nb\x1b[31m" + "x" * 60_000})).log["cid"]
    assert logged.startswith("a b [31mx")
    assert len(logged) == MAX_CID_CHARS
