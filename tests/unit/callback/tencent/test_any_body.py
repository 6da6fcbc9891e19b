"""Any body at all has a documented result, and each message an answer."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.tencent import C2C_QUERY, C2C_SAMPLE, GROUP_QUERY, c2c, group, message, with_value

from pushlane.callback import ChatMessage, Verdict
from pushlane.callback.tencent.answer import MAX_REWRITE_BYTES, answer
from pushlane.callback.tencent.element_forms import problem
from pushlane.callback.tencent.question import (
    C2C,
    NothingToJudge,
    Unreadable,
    WrongCommand,
    keys_of,
    parse,
)
from pushlane.callback.tencent.signature import Query

NAMES = sorted({*c2c(), *group(), "MsgId", "", "\ud800"})
ANY_TEXT = st.text(st.characters(exclude_categories=[])) | st.sampled_from(["\ud800", "\udc00\ud800", "1", "\0"])
ANY_NUMBER = st.integers() | st.floats() | st.integers(10**4290, 10**4310)
GOOD_NUMBER = st.integers(-(10**4300) + 1, 10**4300 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TYPES = st.sampled_from(["TIMTextElem", "TIMCustomElem", "TIMRelayElem", ""])
SAMPLES = st.sampled_from([c2c(), group()])


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


@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
def test_any_bytes_have_a_documented_result(body: bytes) -> None:
    """No body raises."""
    check(body)


@given(SAMPLES, st.dictionaries(st.sampled_from(NAMES), ANY_VALUE, max_size=3))
def test_any_value_in_any_field_has_a_documented_result(sample: dict[str, Any], changes: dict[str, object]) -> None:
    """No value raises."""
    check(dumped({**sample, **changes}))


@given(SAMPLES, st.lists(ANY_ELEMENT, max_size=3))
def test_any_elements_have_a_documented_result(sample: dict[str, Any], msg_body: list[object]) -> None:
    """Nor does any element."""
    check(dumped({**sample, "MsgBody": msg_body}))


@given(SAMPLES, st.lists(GOOD_ELEMENT, max_size=3), st.text(), GOOD_VALUE)
def test_any_sound_body_is_a_message_and_can_be_answered(
    sample: dict[str, Any], msg_body: list[object], custom_data: str, more: object
) -> None:
    """Elements of any type and content are read as they came, and each verdict has its answer."""
    fields = {**sample, "MsgBody": msg_body, "CloudCustomData": custom_data, "More": more}
    check(dumped(fields))
    assert message(fields).msg_body == msg_body


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
    """No name passes that is given twice, nor an invalid number."""
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
