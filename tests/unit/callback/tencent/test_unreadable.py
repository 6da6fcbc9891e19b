"""Bodies that are no message: other shapes, and hostile ones."""

import pytest
from pydantic import ValidationError
from support.tencent import C2C_QUERY, C2C_SAMPLE, TEXT, c2c, group, read, with_value

from pushlane.callback.tencent.question import (
    QUESTION,
    Unreadable,
    parse,
)


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
        (b"[" * 12_000, "nested too deeply"),
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
