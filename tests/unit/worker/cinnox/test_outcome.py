"""What each answer of CINNOX to a push means."""

import pytest
from support.channels import channel_with
from support.cinnox import answer, token

from pushlane.outcome import Outcome
from pushlane_worker.channels.cinnox import Cinnox

DELIVERED, THROTTLED, MISCONFIGURED = Outcome.DELIVERED, Outcome.THROTTLED, Outcome.MISCONFIGURED
REJECTED, FAILED, UNKNOWN = Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize(
    "body",
    ['{"code":0}', '{"code":0.0}', '{"code":-0.0}', '{"code":0,"result":{"x":[1]},"new":null}', '\ufeff{"code":0}\n'],
)
def test_a_success_with_code_0_is_delivered(cinnox: Cinnox, status: int, body: str) -> None:
    """F43: the number 0, in whatever spelling; fields that we do not know are the API's business."""
    assert cinnox.read(answer(status, body)).outcome is DELIVERED


@pytest.mark.parametrize(
    "others", ['"x":1,"x":2', '"result":{"code":1,"code":2}', '"message":"","message":"ok"', '"cid":' + "9" * 60_000]
)
def test_what_is_odd_beside_the_code_costs_no_delivery(cinnox: Cinnox, others: str) -> None:
    """The answer is as clear as without it, and a push that is repeated is a duplicate."""
    assert cinnox.read(answer(200, '{"code":0,' + others + "}")).outcome is DELIVERED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html>",
        b"null",
        b"0",
        b"[]",
        b'[{"code":0}]',
        b"{}",
        b'{"result":{"code":0}}',
        b'{"Code":0}',
        b'{"code":"0"}',
        b'{"code":false}',
        b'{"code":true}',
        b'{"code":null}',
        b'{"code":[0]}',
        b'{"code":400,"code":0}',
        b'{"code":0,"code":400}',
        b'{"code":400,"\\u0063ode":0}',
        b'{"code":NaN}',
        b'{"code":Infinity}',
        b'{"code":1e999}',
        b'{"code":0,"x":-Infinity}',
        b'{"code":0',
        b'{"code":0}}',
        b"{'code':0}",
        b'{"code":0,}',
        b'{"code":0,"message":"\xff"}',
        '{"code":0}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00",
        b"[" * 60_000,
        b'{"code":0,"x":' + b'{"x":' * 12_000,
        b'{"code":' + b"9" * 5000 + b"}",
    ],
)
def test_a_success_that_can_not_be_read_is_unknown(cinnox: Cinnox, body: bytes) -> None:
    """F45: it may have been delivered, so it is neither claimed nor denied."""
    result = cinnox.read(answer(200, body))
    assert result.outcome is UNKNOWN
    assert result.detail.startswith("HTTP 200, no ")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, MISCONFIGURED) for status in (401, 403, 404, 405, 406, 410, 411, 415)],
        *[(status, MISCONFIGURED) for status in (300, 301, 302, 303, 304, 307, 308)],
        *[(status, REJECTED) for status in (400, 413, 422)],
        *[(status, FAILED) for status in (408, 425, 503)],
        *[(status, UNKNOWN) for status in (500, 502, 504)],
        (429, THROTTLED),
        *[(status, FAILED) for status in (402, 407, 409, 412, 418, 421, 451, 499)],
        *[(status, UNKNOWN) for status in (101, 501, 505, 507, 520, 524, 600, 999)],
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code":0}', b'{"code":77}', b'{"code":7000001}'])
def test_a_status_speaks_where_no_code_does(cinnox: Cinnox, status: int, outcome: Outcome, body: bytes) -> None:
    """F52, F54, F55: code 0 makes no success of an error, and an unlisted code changes nothing about one."""
    assert cinnox.read(answer(status, body)).outcome is outcome


@pytest.mark.parametrize("status", [200, 204, 205])
def test_a_success_without_a_body_is_unknown(cinnox: Cinnox, status: int) -> None:
    """F59: 204 says that something went well, but not that the messages were taken."""
    assert cinnox.read(answer(status)).outcome is UNKNOWN


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_success_without_a_body_is_what_the_channel_says(status: int) -> None:
    """ON_EMPTY_ANSWER: an endpoint that answers nothing has taken the messages."""
    declared = Cinnox(channel_with(on_empty_answer="delivered"), token)
    assert declared.read(answer(status)).outcome is DELIVERED


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"OK"), (200, b"{}"), (200, b"\n"), (302, b""), (400, b""), (500, b""), (503, b"")]
)
def test_only_an_empty_success_is_the_channels_to_judge(cinnox: Cinnox, status: int, body: bytes) -> None:
    """With the setting or without it, everything else means what it meant."""
    declared = Cinnox(channel_with(on_empty_answer="delivered"), token)
    assert declared.read(answer(status, body)) == cinnox.read(answer(status, body))


OWN_CODES = [
    (6451010, THROTTLED),
    (6450001, MISCONFIGURED),
    (6451000, REJECTED),
    (3000203, REJECTED),
    (3000205, REJECTED),
    (6451001, FAILED),
]


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500, 503])
@pytest.mark.parametrize(("code", "outcome"), OWN_CODES)
def test_a_listed_code_outweighs_the_status(cinnox: Cinnox, status: int, code: int, outcome: Outcome) -> None:
    """F44: nobody documents which status carries which code."""
    for number in (code, float(code)):
        assert cinnox.read(answer(status, {"code": number})).outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, REJECTED), (400, REJECTED), (401, MISCONFIGURED), (429, THROTTLED), (500, UNKNOWN), (503, FAILED)],
)
def test_code_400_speaks_only_where_it_does_not_contradict(cinnox: Cinnox, status: int, outcome: Outcome) -> None:
    """A code that repeats an HTTP status must not dead-letter messages because a token was revoked."""
    assert cinnox.read(answer(status, {"code": 400})).outcome is outcome


def test_an_unlisted_code_under_a_success_is_failed(cinnox: Cinnox) -> None:
    """F44: a clear "no" whose reason is not known is tried again, and cannot have delivered."""
    for code in (1, -1, 401, 0.5, 7000001, 10**400):
        result = cinnox.read(answer(200, {"code": code}))
        assert result.outcome is FAILED
        assert str(code)[:300] in result.detail


@pytest.mark.parametrize(
    ("code", "outcome"), [(1001, FAILED), (2002, REJECTED), (6451000, FAILED), (6451001, REJECTED)]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_operator_can_list_codes(status: int, code: int, outcome: Outcome) -> None:
    """RETRY_CODES and REJECT_CODES outweigh what is documented."""
    cinnox = Cinnox(channel_with(retry_codes={1001, 6451000}, reject_codes={2002, 6451001}), token)
    assert cinnox.read(answer(status, {"code": code})).outcome is outcome


def test_an_operator_can_list_a_code_that_repeats_its_status() -> None:
    """A low code speaks under its own status, so that REJECT_CODES can settle what a 409 means."""
    cinnox = Cinnox(channel_with(reject_codes={409}), token)
    assert cinnox.read(answer(409, {"code": 409})).outcome is REJECTED
    assert cinnox.read(answer(409, {"code": 410})).outcome is FAILED


@pytest.mark.parametrize(
    ("code", "whole"), [(3000203, True), (3000205, True), (6451000, False), (400, False), (6451001, False), (0, False)]
)
def test_a_missing_destination_condemns_the_whole_batch(cinnox: Cinnox, code: int, *, whole: bool) -> None:
    """Splitting a batch finds an offender, but not a room that does not exist."""
    assert cinnox.read(answer(200, {"code": code})).whole is whole


def test_a_destination_code_that_the_operator_retries_condemns_nothing() -> None:
    """Only a rejection can condemn."""
    cinnox = Cinnox(channel_with(retry_codes={3000205}), token)
    result = cinnox.read(answer(200, {"code": 3000205}))
    assert (result.outcome, result.whole) == (FAILED, False)
