"""How a callback's body becomes a message: the documented samples, every tolerated form, and what is no question."""

import pytest
from support.tencent import (
    C2C_QUERY,
    C2C_SAMPLE,
    GROUP_QUERY,
    GROUP_SAMPLE,
    TEXT,
    c2c,
    group,
    message,
    read,
    with_value,
)

from pushlane.callback import ChatMessage
from pushlane.callback.routing import by_template
from pushlane.callback.settings import REQUEST_FIELDS
from pushlane.callback.tencent.question import (
    C2C,
    GROUP,
    NothingToJudge,
    Unreadable,
    WrongCommand,
    parse,
)
from pushlane.callback.tencent.signature import Query


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
