"""How a callback's body becomes a message: the documented samples, every tolerated form, and hostile bodies."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pushlane.callback import ChatMessage, Verdict
from pushlane.callback.answer import MAX_REWRITE_BYTES, answer
from pushlane.callback.element_forms import problem
from pushlane.callback.routing import by_template
from pushlane.callback.settings import REQUEST_FIELDS
from pushlane.callback.signature import Query
from pushlane.callback.tencent import (
    C2C,
    GROUP,
    QUESTION,
    NothingToJudge,
    Unreadable,
    WrongCommand,
    keys_of,
    parse,
)

C2C_QUERY, GROUP_QUERY = Query("1400000000", C2C), Query("1400000000", GROUP)

C2C_SAMPLE = """{
    "CallbackCommand": "C2C.CallbackBeforeSendMsg",
    "From_Account": "jared",
    "To_Account": "John",
    "MsgSeq": 48374,
    "MsgRandom": 2837546,
    "MsgTime": 1557481126,
    "MsgKey": "48374_2837546_1557481126",
    "OnlineOnlyFlag":1,
    "MsgBody": [
        {
            "MsgType": "TIMTextElem",
            "MsgContent":{
                "Text": "red packet"
            }
        }
    ],
    "CloudCustomData": "your cloud custom data"
}"""
"""The sample request of the page "before sending a one-to-one message", without its comments."""

GROUP_SAMPLE = """{
    "CallbackCommand": "Group.CallbackBeforeSendMsg",
    "GroupId": "@TGS#2J4SZEAEL",
    "Type": "Public",
    "From_Account": "jared",
    "Operator_Account":"admin",
    "Random": 123456,
    "MsgId": "144115233406643804-1727580296-4026038328",
    "OnlineOnlyFlag": 0,
    "MsgBody": [
        {"MsgType": "TIMTextElem", "MsgContent": {"Text": "red packet"}},
        {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6, "Data": "abc\\u0000\\u0001"}}
    ],
    "CloudCustomData": "your cloud custom data",
    "EventTime": "1670574414123"
}"""

TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]


def c2c(**changes: object) -> dict[str, Any]:
    """The fields of the C2C sample with these changed."""
    return json.loads(C2C_SAMPLE) | changes  # type: ignore[no-any-return]


def group(**changes: object) -> dict[str, Any]:
    """The fields of the group sample with these changed."""
    return json.loads(GROUP_SAMPLE) | changes  # type: ignore[no-any-return]


def read(fields: object) -> ChatMessage | NothingToJudge | WrongCommand | Unreadable:
    """What becomes of these fields under a query of their command; of any but the group's, under the C2C one."""
    of_group = isinstance(fields, dict) and fields.get("CallbackCommand") == GROUP
    return parse(json.dumps(fields).encode(), GROUP_QUERY if of_group else C2C_QUERY)


def message(fields: object) -> ChatMessage:
    """The message of these fields."""
    result = read(fields)
    assert isinstance(result, ChatMessage), result
    return result


def with_value(raw: str) -> bytes:
    """The C2C sample with this raw JSON deep inside its MsgBody."""
    return C2C_SAMPLE.replace('"red packet"', raw).encode()


# --- what is read ------------------------------------------------------------------------------------------------


def test_the_sample_of_the_reference_page_is_a_message() -> None:
    """One-to-one: every field of the page stands where policies and routing look for it."""
    assert parse(C2C_SAMPLE.encode(), C2C_QUERY) == ChatMessage(
        command="C2C.CallbackBeforeSendMsg",
        sdk_app_id="1400000000",
        sender="jared",
        receiver="John",
        key="48374_2837546_1557481126",
        msg_body=[{"MsgType": "TIMTextElem", "MsgContent": {"Text": "red packet"}}],
        custom_data="your cloud custom data",
        online_only=True,
        fields={
            "CallbackCommand": "C2C.CallbackBeforeSendMsg",
            "From_Account": "jared",
            "To_Account": "John",
            "MsgSeq": 48374,
            "MsgRandom": 2837546,
            "MsgTime": 1557481126,
            "MsgKey": "48374_2837546_1557481126",
            "OnlineOnlyFlag": 1,
            "CloudCustomData": "your cloud custom data",
            "SdkAppid": "1400000000",
        },
    )


def test_a_groups_sample_is_a_message() -> None:
    """Group: the receiver is the group, and its key is made of Random and MsgId."""
    result = parse(GROUP_SAMPLE.encode(), GROUP_QUERY)
    assert isinstance(result, ChatMessage)
    assert (result.sender, result.receiver) == ("jared", "@TGS#2J4SZEAEL")
    assert result.key == "123456_144115233406643804-1727580296-4026038328"
    assert (result.online_only, result.text) == (False, "red packet")
    assert result.fields["Type"] == "Public"
    assert result.fields["EventTime"] == "1670574414123"


def test_each_command_has_its_own_receiver() -> None:
    """A field of the other command's is a field like any unknown one."""
    assert message(c2c(GroupId="g", Random=7)).receiver == "John"
    assert message(group(To_Account="John", MsgKey="k")).receiver == "@TGS#2J4SZEAEL"


def test_a_template_finds_the_fields_but_not_the_text() -> None:
    """Routing may name any field, known or not."""
    fields = message(c2c(TopicId="t", Later={"a": 1})).fields
    assert "{From_Account}/{To_Account}/{TopicId}/{MsgSeq}".format_map(dict(fields)) == "jared/John/t/48374"
    assert "MsgBody" not in fields
    assert fields["Later"] == {"a": 1}


PLACES = {
    "CallbackCommand": (C2C, GROUP),
    "SdkAppid": ("1400000000", "1400000000"),
    "From_Account": ("jared", "jared"),
    "To_Account": ("John", ""),
    "GroupId": ("", "@TGS#2J4SZEAEL"),
    "Type": ("", "Public"),
    "Operator_Account": ("", "admin"),
    "TopicId": ("", "t"),
}
"""What each name of a template is in the C2C sample, and in the group sample with a topic."""


@pytest.mark.parametrize("name", sorted(REQUEST_FIELDS))
def test_a_room_may_be_named_after_all_that_the_settings_promise(name: str) -> None:
    """What stands in the body, and the app, which only the query names."""
    routed = [by_template("support", f"r-{{{name}}}")(one) for one in (message(c2c()), message(group(TopicId="t")))]
    assert tuple(route.message.conversation for route in routed) == tuple(f"r-{it}" for it in PLACES[name])


def test_the_app_is_the_one_that_was_checked() -> None:
    """Whatever a body says of it."""
    assert message(c2c(SdkAppid="7")).fields["SdkAppid"] == "1400000000"


@pytest.mark.parametrize("name", ["MsgSeq", "MsgRandom", "MsgTime", "Random", "OnlineOnlyFlag", "EventTime"])
@pytest.mark.parametrize("value", [0, 1, 4294967295, 1670574414123, "0", "1", "4294967295", "1670574414123", None])
def test_a_number_may_be_a_numeric_string_or_absent(name: str, value: int | str | None) -> None:
    """Tencent's own samples print the same number in both ways."""
    given = message(c2c(**{name: value})).fields[name]
    assert str(given) == str(value)


@pytest.mark.parametrize(
    ("flag", "online"), [(1, True), ("1", True), (0, False), ("0", False), (None, False), (2, False)]
)
def test_only_flag_1_is_online_only(flag: object, *, online: bool) -> None:
    """What the platform stores is relayed."""
    assert message(c2c(OnlineOnlyFlag=flag)).online_only is online


def test_what_is_optional_may_be_missing() -> None:
    """Four fields make a message: who, to whom, which, what."""
    result = message({"CallbackCommand": C2C, "From_Account": "a", "To_Account": "b", "MsgKey": "k", "MsgBody": []})
    assert (result.key, result.msg_body, result.custom_data, result.online_only) == ("k", [], "", False)
    result = message({"CallbackCommand": GROUP, "From_Account": "a", "GroupId": "b", "Random": 7, "MsgBody": TEXT})
    assert (result.key, result.custom_data) == ("7_", "")


@pytest.mark.parametrize("key", [{}, {"MsgKey": None}, {"MsgKey": ""}])
@pytest.mark.parametrize("number", [int, str])
def test_without_a_msgkey_its_parts_make_the_key(key: dict[str, object], number: type) -> None:
    """MsgKey is MsgSeq, MsgRandom and MsgTime joined, so both give one key."""
    fields = c2c() | {name: number(value) for name, value in c2c().items() if name in {"MsgSeq", "MsgTime"}}
    del fields["MsgKey"]
    assert message(fields | key).key == "48374_2837546_1557481126"


@pytest.mark.parametrize("element", [{"MsgType": "TIMFutureElem", "MsgContent": {}}, {**TEXT[0], "More": [1]}])
def test_unknown_elements_are_kept_as_they_came(element: dict[str, object]) -> None:
    """A new kind of element is judged by what can be read of it, not lost."""
    assert message(c2c(MsgBody=[element])).msg_body == [element]


def test_text_survives_whatever_it_is() -> None:
    """NUL, controls, full-width letters and pairs of escapes are for the policies to judge."""
    result = parse(with_value('"\\u0000\\ud83d\\ude00 \\u202e \\uff46 é"'), C2C_QUERY)
    assert isinstance(result, ChatMessage)
    assert result.text == "\0😀 \u202e \uff46 é"


# --- what is no question -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b" \r\n\t"])
@pytest.mark.parametrize("command", [C2C, GROUP, "State.StateChange", ""])
def test_an_empty_body_is_the_consoles_check(body: bytes, command: str) -> None:
    """It is answered OK, whatever command it names."""
    assert parse(body, Query("1", command)) == NothingToJudge("empty body")


@pytest.mark.parametrize("command", ["C2C.CallbackAfterSendMsg", "State.StateChange", "c2c.callbackbeforesendmsg", ""])
def test_other_commands_are_not_read(command: str) -> None:
    """Their bodies have other shapes; not even a broken one matters."""
    assert parse(b"{broken", Query("1", command)) == NothingToJudge("command is not moderated")


def test_a_body_of_another_command_is_told_apart() -> None:
    """Nobody gets a group message judged by the rules and codes of one-to-one messages."""
    assert parse(GROUP_SAMPLE.encode(), C2C_QUERY) == WrongCommand(GROUP)
    assert parse(C2C_SAMPLE.encode(), GROUP_QUERY) == WrongCommand(C2C)
    assert read(c2c(CallbackCommand="C2C.CallbackAfterSendMsg")) == WrongCommand("C2C.CallbackAfterSendMsg")
    assert read(c2c(CallbackCommand="x" * 10_000)) == WrongCommand("x" * 64)


STATE = "State.StateChange"


@pytest.mark.parametrize(
    "body",
    [
        b'{"CallbackCommand":"State.StateChange","Info":{}}',
        b'{"Info":{"CallbackCommand":"C2C.CallbackBeforeSendMsg"},"CallbackCommand":"State.StateChange"}',
        b'{"CallbackCommand":"\\u0053tate.StateChange"}',
        b'{"\\u0043allbackCommand":"State.StateChange"}',
        b'{"CallbackCommand":"State.StateChange","Info":1,"Info":NaN}',
        b'{"CallbackCommand":"State.StateChange","Info":' + b"[" * 100 + b"]" * 100 + b"}",
    ],
)
def test_a_body_of_another_command_need_not_be_a_question(body: bytes) -> None:
    """The platform's other bodies have other fields."""
    assert parse(body, C2C_QUERY) == parse(body, GROUP_QUERY) == WrongCommand(STATE)


def test_the_name_of_a_broken_bodys_command_is_cut_too() -> None:
    """Nobody fills a log with it."""
    assert read({"CallbackCommand": "x" * 100_000}) == WrongCommand("x" * 64)


@pytest.mark.parametrize(
    "body",
    [
        b'{"CallbackCommand":"C2C.CallbackBeforeSendMsg"}',
        b'{"CallbackCommand":7}',
        b'{"CallbackCommand":["State.StateChange"]}',
        b'{"CallbackCommand":"State.StateChange","CallbackCommand":"C2C.CallbackBeforeSendMsg"}',
        b'{"CallbackCommand":"C2C.CallbackBeforeSendMsg","CallbackCommand":"State.StateChange"}',
        b'{"CallbackCommand":"State.StateChange","\\u0043allbackCommand":"State.StateChange"}',
        b'{"Info":{"CallbackCommand":"State.StateChange"}}',
        b'[["CallbackCommand","State.StateChange"]]',
        b'["CallbackCommand"]',
        b'"CallbackCommand"',
        b'{"CallbackCommand":"State.StateChange"',
        b'{"CallbackCommand":"State.StateChange"}{}',
        b'{"CallbackCommand":"\\ud800"}',
        b'{"CallbackCommand":"\xff"}',
        b'{"CallbackCommand":"State.StateChange","a":' + b"9" * 10_000 + b"}",
        b'{"CallbackCommand":"State.StateChange","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"CallbackCommand":"State.StateChange","a":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        '{"CallbackCommand":"State.StateChange"}'.encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"CallbackCommand":"State.StateChange"}',
    ],
)
def test_a_broken_body_that_names_no_other_command_for_sure_is_unreadable(body: bytes) -> None:
    """It gets a verdict: what is refused, the platform delivers."""
    assert isinstance(parse(body, C2C_QUERY), Unreadable)


# --- what is unreadable ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([c2c()], "body: dict_type"),
        ("text", "body: dict_type"),
        (None, "body: dict_type"),
        (7, "body: dict_type"),
        ({}, "CallbackCommand: missing"),
        (c2c(CallbackCommand=None), "CallbackCommand: string_type"),
        (c2c(From_Account=5), "From_Account: string_type"),
        (c2c(From_Account=None), "From_Account: string_type"),
        (c2c(To_Account=["John"]), "To_Account: string_type"),
        (c2c(To_Account=None), "To_Account: missing"),
        (group(GroupId=None), "GroupId: missing"),
        (group(Random=None), "Random: missing"),
        (c2c(MsgKey=None, MsgTime=None), "MsgKey: missing"),
        (c2c(MsgKey=48374), "MsgKey: string_type"),
        (c2c(MsgSeq="x"), "MsgSeq: int_parsing"),
        (c2c(MsgSeq=1.5), "MsgSeq: int_from_float"),
        (c2c(MsgSeq=[]), "MsgSeq: int_type"),
        (c2c(MsgSeq="9" * 5000), "MsgSeq: int_parsing_size"),
        (c2c(OnlineOnlyFlag={}), "OnlineOnlyFlag: int_type"),
        (c2c(CloudCustomData={"a": 1}), "CloudCustomData: string_type"),
        (c2c(MsgBody=None), "MsgBody: list_type"),
        (c2c(MsgBody=TEXT[0]), "MsgBody: list_type"),
        (c2c(MsgBody={"0": TEXT[0]}), "MsgBody: list_type"),
        (c2c(MsgBody="text"), "MsgBody: list_type"),
        (c2c(MsgBody=[*TEXT, "text"]), "MsgBody.1: dict_type"),
        (c2c(MsgBody=[{"MsgType": "TIMTextElem"}]), "MsgBody.0.MsgContent: missing"),
        (c2c(MsgBody=[{"MsgContent": {}}]), "MsgBody.0.MsgType: missing"),
        (c2c(MsgBody=[{"MsgType": 1, "MsgContent": {}}]), "MsgBody.0.MsgType: string_type"),
        (c2c(MsgBody=[{"MsgType": "TIMTextElem", "MsgContent": "secret"}]), "MsgBody.0.MsgContent: dict_type"),
    ],
)
def test_another_shape_is_unreadable(fields: object, reason: str) -> None:
    """The reason names the field and the error, for a log that holds nobody's words."""
    assert read(fields) == Unreadable(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (C2C_SAMPLE.encode()[:-1], "is not JSON"),
        (C2C_SAMPLE.encode() + b"{}", "is not JSON"),
        (C2C_SAMPLE.encode() + b"\0", "is not JSON"),
        (b"CallbackCommand=C2C.CallbackBeforeSendMsg", "is not JSON"),
        (b"\xef\xbb\xbf" + C2C_SAMPLE.encode(), "is not JSON"),
        (C2C_SAMPLE.encode("utf-16"), "is not UTF-8"),
        (C2C_SAMPLE.encode("utf-16-le"), "is not JSON"),
        (C2C_SAMPLE.encode("utf-32"), "is not UTF-8"),
        (C2C_SAMPLE.replace("red", "réd").encode("latin-1"), "is not UTF-8"),
        (C2C_SAMPLE.encode().replace(b"red", b"\xed\xa0\x80"), "is not UTF-8"),
        (C2C_SAMPLE.encode().replace(b"red", b"\xc0\xaf"), "is not UTF-8"),
        (with_value('"\\ud800"'), "UnicodeEncodeError"),
        (with_value('"\\udc00\\ud800"'), "UnicodeEncodeError"),
        (with_value('"a\nb"'), "is not JSON"),
        (with_value("NaN"), "NaN, Infinity"),
        (with_value("-Infinity"), "NaN, Infinity"),
        (with_value("[1, 1e999]"), "NaN, Infinity"),
        (with_value("9" * 400 + ".0"), "NaN, Infinity"),
        (with_value("9" * 5000), "a number that is too long"),
        (with_value("-" + "9" * 5000), "a number that is too long"),
        (with_value("[" * 10_000 + "]" * 10_000), "nested too deeply"),
        (with_value('{"a":' * 10_000 + "1" + "}" * 10_000), "nested too deeply"),
        (with_value("[" * 10_000), "nested too deeply"),
        (b"[" * 9_000, "nested too deeply"),
        (b"[" * 200_000, "more than 10000 values"),
        (with_value("[" + "{}," * 10_000 + "1]"), "more than 10000 values"),
        (with_value('"good", "Text": "bad"'), "a name is given twice"),
        (with_value('"good", "\\u0054ext": "bad"'), "a name is given twice"),
        (C2C_SAMPLE.replace("{", '{"MsgBody": [], ', 1).encode(), "a name is given twice"),
        (C2C_SAMPLE.replace("{", '{"x": 1, "x": 1, ', 1).encode(), "a name is given twice"),
    ],
)
def test_a_hostile_body_is_unreadable(body: bytes, reason: str) -> None:
    """What two readers could read differently, and what could cost us the process, is no message."""
    result = parse(body, C2C_QUERY)
    assert isinstance(result, Unreadable)
    assert reason in result.reason
    assert "red" not in result.reason
    assert result.hides is (reason in {"nested too deeply", "more than 10000 values"})


def test_thousands_of_wrong_elements_cost_one_error() -> None:
    """256 KiB of them are refused at the first, within the budget."""
    with pytest.raises(ValidationError) as caught:
        QUESTION.validate_python(c2c(MsgBody=[1] * 80_000))
    assert caught.value.error_count() == 1


# --- one decision ------------------------------------------------------------------------------------------------


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
def test_the_short_cut_for_a_text_gives_the_keys_of_the_long_way(
    text: str, custom_data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is one text has the keys that it would have as any other."""
    body = [{"MsgContent": {"Text": text}, "MsgType": "TIMTextElem"}]
    said = message(c2c(MsgBody=body, CloudCustomData=custom_data))
    short = keys_of(said)
    assert said.only_text == text
    monkeypatch.setattr(ChatMessage, "only_text", "")
    assert keys_of(said) == short


# --- any body at all ---------------------------------------------------------------------------------------------

NAMES = sorted({*c2c(), *group(), "MsgId", "", "\ud800"})
ANY_TEXT = st.text(st.characters(exclude_categories=[])) | st.sampled_from(["\ud800", "\udc00\ud800", "1", "\0"])
ANY_NUMBER = st.integers() | st.floats() | st.integers(10**4290, 10**4310)
GOOD_NUMBER = st.integers(-(10**4300) + 1, 10**4300 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TYPES = st.sampled_from(["TIMTextElem", "TIMCustomElem", "TIMRelayElem", ""])
SAMPLES = st.sampled_from([c2c(), group()])
UNTIMED = settings(deadline=None)
"""On a busy machine a number of 4,300 digits takes its time."""


def json_values(text: st.SearchStrategy[str], number: st.SearchStrategy[object]) -> st.SearchStrategy[Any]:
    """JSON made of these texts and numbers, a few levels deep."""
    return st.recursive(
        st.none() | st.booleans() | number | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )


ANY_VALUE, GOOD_VALUE = json_values(ANY_TEXT, ANY_NUMBER), json_values(st.text(), GOOD_NUMBER)
GOOD_ELEMENT = st.fixed_dictionaries(
    {"MsgType": TYPES | st.text(), "MsgContent": st.dictionaries(st.just("Text") | st.text(), GOOD_VALUE, max_size=3)},
    optional={"More": GOOD_VALUE},
)
ANY_ELEMENT = st.fixed_dictionaries({"MsgType": TYPES}, optional={"MsgContent": ANY_VALUE, "More": ANY_VALUE})


def dumped(value: object) -> bytes:
    """JSON of anything, numbers that Python hesitates to print among it."""
    if isinstance(value, dict):
        return b"{" + b",".join(dumped(name) + b":" + dumped(inner) for name, inner in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(dumped, value)) + b"]"
    if isinstance(value, int) and abs(value) >= 10**4300:
        return b"1" + b"0" * 4300
    return json.dumps(value).encode()


def is_a_documented_answer(data: bytes, message: ChatMessage) -> bool:
    """One of the shapes of the reference page, in strict JSON."""
    fields = json.loads(data.decode(), parse_constant=pytest.fail)
    if list(fields)[:3] != ["ActionStatus", "ErrorInfo", "ErrorCode"] or fields["ActionStatus"] != "OK":
        return False
    code, more = fields["ErrorCode"], set(fields) - {"ActionStatus", "ErrorInfo", "ErrorCode"}
    own = range(120001, 130001) if message.command == C2C else range(10100, 10201)
    return type(code) is int and (
        (code in (0, 1, 2) or code in own)
        and (code in own or fields["ErrorInfo"] == "")
        and (more <= {"MsgBody", "CloudCustomData"} if code == 0 else not more)
    )


def check(body: bytes) -> None:
    """Whatever the body, each query gets a documented result; and each message each verdict's answer."""
    for query in (C2C_QUERY, GROUP_QUERY, Query("1", "State.StateChange")):
        result = parse(body, query)
        assert isinstance(result, ChatMessage | NothingToJudge | WrongCommand | Unreadable)
        if isinstance(result, ChatMessage):
            check_message(result)


def check_message(message: ChatMessage) -> None:
    """It has both keys, and can be answered."""
    assert len(keys_of(message).decision) == len(keys_of(message).message) == 64
    verdicts = [Verdict.allow(), Verdict.discard(), Verdict.forbid(), Verdict.rewrite(custom_data=message.custom_data)]
    verdicts += [Verdict.forbid(code=code, text=message.text) for code in (1, 10100, 10200, 120001, 130000, 130001)]
    custom = sum(element["MsgType"] == "TIMCustomElem" for element in message.msg_body)
    is_small = len(json.dumps(message.msg_body)) < MAX_REWRITE_BYTES
    if message.msg_body and custom <= 1 and is_small and not problem(message.msg_body):
        verdicts.append(Verdict.rewrite(msg_body=message.msg_body))
    assert all(is_a_documented_answer(answer(verdict, message.command), message) for verdict in verdicts)


@UNTIMED
@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
def test_any_bytes_have_a_documented_result(body: bytes) -> None:
    """No body raises."""
    check(body)


@UNTIMED
@given(SAMPLES, st.dictionaries(st.sampled_from(NAMES), ANY_VALUE, max_size=3))
def test_any_value_in_any_field_has_a_documented_result(sample: dict[str, Any], changes: dict[str, object]) -> None:
    """No value raises."""
    check(dumped({**sample, **changes}))


@UNTIMED
@given(SAMPLES, st.lists(ANY_ELEMENT, max_size=3))
def test_any_elements_have_a_documented_result(sample: dict[str, Any], msg_body: list[object]) -> None:
    """Nor does any element."""
    check(dumped({**sample, "MsgBody": msg_body}))


@UNTIMED
@given(SAMPLES, st.lists(GOOD_ELEMENT, max_size=3), st.text(), GOOD_VALUE)
def test_any_sound_body_is_a_message_and_can_be_answered(
    sample: dict[str, Any], msg_body: list[object], custom_data: str, more: object
) -> None:
    """Elements of any type and content are read as they came, and each verdict has its answer."""
    fields = {**sample, "MsgBody": msg_body, "CloudCustomData": custom_data, "More": more}
    check(dumped(fields))
    assert message(fields).msg_body == msg_body


@UNTIMED
@given(st.integers(0, len(C2C_SAMPLE) - 1), st.binary(max_size=3))
def test_a_damaged_sample_has_a_documented_result(position: int, damage: bytes) -> None:
    """Some bytes of a good body replaced by others."""
    good = C2C_SAMPLE.encode()
    check(good[:position] + damage + good[position + len(damage) :])


ANY_PAIRS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["1", "2", "1.5", "1e999", "NaN", '":"', "[]", "{}"])), max_size=2
)


@given(ANY_PAIRS, ANY_PAIRS, ANY_PAIRS)
def test_no_body_of_two_readings_is_read(
    top: list[tuple[str, str]], element: list[tuple[str, str]], content: list[tuple[str, str]]
) -> None:
    """No name passes that is given twice, nor a number that is none."""
    said = f'{{"Text": "x"{_written(content)}}}'
    body = f'[{{"MsgType": "TIMTextElem", "MsgContent": {said}{_written(element)}}}]'
    start = '{"CallbackCommand": "C2C.CallbackBeforeSendMsg", "From_Account": "a", "To_Account": "b", "MsgKey": "k"'
    question = f'{start}, "MsgBody": {body}{_written(top)}}}'
    try:
        json.loads(question, object_pairs_hook=_with_each_name_once)
        reads_well = not {"1e999", "NaN"} & {value for _, value in [*top, *element, *content]}
    except ValueError:
        reads_well = False
    assert isinstance(parse(question.encode(), C2C_QUERY), ChatMessage) == reads_well


def _written(pairs: list[tuple[str, str]]) -> str:
    return "".join(f', "{name}" : {value}' for name, value in pairs)


def _with_each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


@pytest.mark.parametrize("depth", [*range(185, 205), 500, 1000, 5000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_a_message_of_any_depth_can_be_answered_or_is_unreadable(depth: int, start: str, end: str) -> None:
    """What is read is never nested too deep for what we do with it."""
    check(with_value('"x", "More": ' + start * depth + "1" + end * depth))
