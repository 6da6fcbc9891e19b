"""The keys of a message: which messages share a decision, and which are the same message."""

import hashlib
import json

import pytest
from support.tencent import C2C_QUERY, C2C_SAMPLE, TEXT, c2c, message, read, with_value

from pushlane.callback import ChatMessage
from pushlane.callback.tencent.question import (
    keys_of,
    parse,
)


def test_the_keys_do_not_change() -> None:
    """Decisions on record are found by these: another encoding needs another name for the record."""
    sample = message(c2c())
    assert keys_of(sample).decision == "82d1fa74852a7420ee31ad455dbed2bf1e25c07e412ab17ed26a02979a05191d"
    assert keys_of(sample).message == "14ceadbe7e728a57c821d9c866c656c3ef3c4662136f625bf1130569b81c88bf"


@pytest.mark.parametrize(
    "other",
    [
        json.dumps(c2c(), indent=7),
        json.dumps(dict(reversed(c2c().items()))),
        C2C_SAMPLE.replace("red packet", "r\\u0065d packet"),
        json.dumps(c2c(MsgBody=[{"MsgContent": {"Text": "red packet"}, "MsgType": "TIMTextElem"}])),
        json.dumps(c2c(EventTime=5, MsgId="other", OnlineOnlyFlag="1", MsgTime="0")),
    ],
)
def test_the_same_content_is_the_same_decision(other: str) -> None:
    """Order, blanks, escapes and fields beside the message make no second decision."""
    again = parse(other.encode(), C2C_QUERY)
    assert isinstance(again, ChatMessage)
    assert keys_of(again).decision == keys_of(message(c2c())).decision
    assert keys_of(again).message == keys_of(message(c2c())).message


VALUES = [
    "true",
    "false",
    "null",
    "0",
    "0.0",
    "1",
    "1.0",
    "-1",
    '"1"',
    '"true"',
    '"null"',
    '""',
    '" "',
    '"red packet"',
    '"Red packet"',
    '"red  packet"',
    '"é"',
    '"e\\u0301"',
    '"\\\\u00e9"',
    "[]",
    "{}",
    "[[]]",
    "[1]",
    "[1, 1]",
    '["1"]',
    '"[1]"',
    '{"a": 1}',
    '{"a": 1, "b": 1}',
    '{"a": "1"}',
    '{"": 1}',
    '["a", 1]',
    "9007199254740993",
    "9007199254740992",
    "9007199254740992.0",
    '"red packet", "More": 1',
    '"red packet", "More": null',
]


def test_any_other_value_is_another_decision_about_the_same_message() -> None:
    """Who sends a harmless text and another one under the same key gets it judged anew."""
    messages = [parse(with_value(value), C2C_QUERY) for value in VALUES]
    messages += [
        read(c2c(MsgBody=body))
        for body in ([], [*TEXT, *TEXT], TEXT, [{**TEXT[0], "a": 1}], [{**TEXT[0], "MsgType": "timtextelem"}])
    ]
    messages += [read(c2c(CloudCustomData=data)) for data in ("", "x", "your cloud custom data ")]
    read_ones = [each for each in messages if isinstance(each, ChatMessage)]
    assert len(read_ones) == len(messages)
    assert len({keys_of(each).decision for each in read_ones}) == len(messages)
    assert len({keys_of(each).message for each in read_ones}) == 1


def test_moving_text_between_body_and_custom_data_is_another_decision() -> None:
    """The hash knows where a value stands."""
    plain = message(c2c())
    moved = plain._replace(msg_body=[], custom_data=json.dumps(plain.msg_body))
    assert len({keys_of(each).decision for each in (plain, plain._replace(msg_body=[]), moved)}) == 3


def test_another_sender_receiver_app_kind_or_key_is_another_message() -> None:
    """And no value can lend a letter to its neighbour."""
    plain = message(c2c())
    others = [
        plain._replace(**{name: value})  # type: ignore[arg-type] # all of them are strings
        for name in ("sdk_app_id", "command", "sender", "receiver", "key")
        for value in ("", "x", '","', "jared,John", getattr(plain, name) + " ")
    ]
    others += [plain._replace(sender="jare", receiver="dJohn"), plain._replace(sender="jaredJ", receiver="ohn")]
    everything = [plain, *others]
    assert len({keys_of(each).message for each in everything}) == len(everything)
    assert len({key for each in everything for key in keys_of(each)}) == 2 * len(everything)


def test_what_is_not_identity_does_not_change_the_keys() -> None:
    """A second call about the same message with a new EventTime finds the first one's decision."""
    plain = message(c2c())
    later = plain._replace(fields={}, online_only=False)
    assert keys_of(later) == keys_of(plain)


@pytest.mark.parametrize("custom_data", ["", 'a "quoted" é'])
@pytest.mark.parametrize("text", ["red packet", 'é漢🙂"\\\n\x7f\0'])
def test_the_keys_of_a_text_do_not_change_either(text: str, custom_data: str) -> None:
    """The form is that of the sample above, whatever characters the message holds."""
    body = [{"MsgContent": {"Text": text}, "MsgType": "TIMTextElem"}]
    said = message(c2c(MsgBody=body, CloudCustomData=custom_data))
    identity = [said.sdk_app_id, said.command, said.sender, said.receiver, said.key]
    whole = [*identity, [body, custom_data]]
    assert keys_of(said) == tuple(
        hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest() for values in (whole, identity)
    )
