"""What leaves the endpoint: the documented answers byte by byte, and the rewrites that must not leave."""

import json
from collections import UserString
from dataclasses import replace
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.callback import Verdict
from pushlane.callback.tencent.answer import (
    ALLOWED,
    MAX_REWRITE_BYTES,
    MAX_STREAM_BYTES,
    OWN_CODES,
    answer,
)
from pushlane.callback.tencent.question import C2C, GROUP, MODERATED
from pushlane.callback.verdict import MAX_TEXT_CHARS

TEXT: dict[str, Any] = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "red packet"}}
CUSTOM: dict[str, Any] = {
    "MsgType": "TIMCustomElem",
    "MsgContent": {"Desc": " CustomElement.MemberLevel ", "Data": " LV1"},
}


class Own(IntEnum):
    """A service's names for its codes."""

    RUDE = 120007


def holding(value: object) -> list[dict[str, Any]]:
    """A MsgBody with this value in it."""
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": value}}]


def rewritten(msg_body: object) -> bytes:
    """The answer to a rewrite by a policy that nobody type-checked."""
    return answer(Verdict.rewrite(msg_body=msg_body), C2C)  # type: ignore[arg-type] # mistakes


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.allow(), b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'),
        (Verdict.forbid(), b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":1}'),
        (Verdict.discard(), b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":2}'),
        (
            Verdict.forbid(code=120001, text='be "nice" é'),
            '{"ActionStatus":"OK","ErrorInfo":"be \\"nice\\" é","ErrorCode":120001}'.encode(),
        ),
        (Verdict.forbid(code=Own.RUDE), b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":120007}'),
        (
            Verdict.rewrite(msg_body=[TEXT, CUSTOM], custom_data="your new cloud custom data"),
            (
                b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"MsgBody":[{"MsgType":"TIMTextElem","MsgContent":'
                b'{"Text":"red packet"}},{"MsgType":"TIMCustomElem","MsgContent":{"Desc":" CustomElement.MemberLevel ",'
                b'"Data":" LV1"}}],"CloudCustomData":"your new cloud custom data"}'
            ),
        ),
        (
            Verdict.rewrite(custom_data=""),
            b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"CloudCustomData":""}',
        ),
        (
            Verdict.rewrite(msg_body=({"MsgType": "TIMFutureElem", "MsgContent": {}, "More": 1},)),
            (
                b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"MsgBody":'
                b'[{"MsgType":"TIMFutureElem","MsgContent":{},"More":1}]}'
            ),
        ),
        (Verdict.rewrite(), b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'),
        (Verdict("allow", code=1, text="x", msg_body=[], custom_data="x"), ALLOWED),
    ],
)
def test_each_verdict_has_its_documented_answer(verdict: Verdict, expected: bytes) -> None:
    """The answers of the reference page, and nothing beside them."""
    assert answer(verdict, C2C) == expected


@pytest.mark.parametrize(
    ("command", "code", "sent"),
    [
        (C2C, 120000, 1),
        (C2C, 120001, 120001),
        (C2C, 130000, 130000),
        (C2C, 130001, 1),
        (C2C, 10100, 1),
        (C2C, 10200, 1),
        (GROUP, 10099, 1),
        (GROUP, 10100, 10100),
        (GROUP, 10200, 10200),
        (GROUP, 10201, 1),
        (GROUP, 120001, 1),
        (C2C, None, 1),
        (C2C, 0, 1),
        (C2C, 1, 1),
        (C2C, 2, 1),
        (C2C, -120001, 1),
        (C2C, 10**4000, 1),
        (C2C, True, 1),
        (C2C, 120001.0, 1),
        (C2C, "120001", 1),
        ("State.StateChange", 120001, 1),
        ("", 10100, 1),
    ],
)
def test_a_code_of_another_range_still_forbids(command: str, code: Any, sent: int) -> None:  # noqa: ANN401 # a mistake
    """No code of a policy's can let a message pass or send what the platform does not document."""
    fields = json.loads(answer(Verdict.forbid(code=code, text="why"), command))
    assert fields == {"ActionStatus": "OK", "ErrorInfo": "why" if sent > 2 else "", "ErrorCode": sent}
    assert type(fields["ErrorCode"]) is int


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("x" * 600, "x" * MAX_TEXT_CHARS),
        ("🙂" * 600, "🙂" * MAX_TEXT_CHARS),
        ("a\ud800b", "a?b"),
        ("\ud83d\ude00", "??"),
        ("line\nand\0", "line\nand\0"),
        (None, ""),
        (b"bytes", ""),
        (UserString("text"), ""),
    ],
)
def test_the_text_of_a_forbid_is_bounded_and_unicode(text: Any, sent: str) -> None:  # noqa: ANN401 # mistakes too
    """A forbid never fails for its text."""
    assert json.loads(answer(Verdict.forbid(code=120001, text=text), C2C).decode())["ErrorInfo"] == sent


def nested(depth: int) -> object:
    """Lists in lists."""
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def circle() -> list[object]:
    """A list that holds itself."""
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "msg_body",
    [
        [],
        (),
        "secret",
        7,
        TEXT,
        {"0": TEXT},
        [TEXT, None],
        [TEXT, "secret"],
        [[TEXT]],
        [{}],
        [{"MsgType": "TIMTextElem"}],
        [{"MsgContent": {}}],
        [{"MsgType": None, "MsgContent": {}}],
        [{"MsgType": "TIMTextElem", "MsgContent": "secret"}],
        [{"MsgType": "TIMTextElem", "MsgContent": [{}]}],
        [CUSTOM, TEXT, CUSTOM],
        holding(float("nan")),
        holding(float("-inf")),
        holding("secret\ud800"),
        holding({"\udc00": 1}),
        holding(b"secret"),
        holding({"secret"}),
        holding(("secret",)),
        holding({1: "secret"}),
        holding({None: "secret"}),
        holding(object()),
        holding(10**5000),
        holding(nested(300)),
        holding(nested(100_000)),
        holding(circle()),
    ],
    ids=lambda _: "",
)
def test_a_rewrite_that_the_platform_could_not_take_does_not_leave(msg_body: object) -> None:
    """The caller answers on_error instead; and the error quotes nothing, as it goes to the log."""
    with pytest.raises(ValueError, match=r"MsgBody|not JSON") as caught:
        rewritten(msg_body)
    assert type(caught.value) is ValueError
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("kind", "content", "what"),
    [
        ("TIMTextElem", {}, "without Text"),
        ("TIMTextElem", {"Text": None}, "without Text"),
        ("TIMTextElem", {"Text": 5}, "Text is not a text"),
        ("TIMTextElem", {"Text": ["secret"]}, "Text is not a text"),
        ("TIMLocationElem", {"Desc": "secret"}, "without Latitude"),
        ("TIMLocationElem", {"Desc": 5, "Latitude": 1.5, "Longitude": 2}, "Desc is not a text"),
        ("TIMLocationElem", {"Desc": "secret", "Latitude": "north", "Longitude": 2}, "Latitude is not a number"),
        ("TIMFaceElem", {"Index": True}, "Index is not a number"),
        ("TIMFaceElem", {"Index": 1, "Data": {}}, "Data is not a text"),
        ("TIMCustomElem", {"Data": {"a": "secret"}}, "Data is not a text"),
        ("TIMSoundElem", {"UUID": "secret", "Second": []}, "Second is not a number"),
        ("TIMImageElem", {"UUID": "secret", "ImageInfoArray": {}}, "ImageInfoArray is not a list"),
        ("TIMFileElem", {"FileName": "secret"}, "without UUID"),
        ("TIMVideoFileElem", {"VideoUrl": "secret"}, "without VideoUUID"),
        ("TIMRelayElem", {"AbstractList": "secret"}, "AbstractList is not a list"),
        ("TIMRelayElem", {"MsgList": [{"MsgBody": holding(5)}]}, "Text is not a text"),
        ("TIMRelayElem", {"MsgList": [{"MsgBody": [{"MsgType": "secret"}]}]}, "no MsgContent"),
        ("TIMStreamElem", {"Chunks": "secret"}, "Chunks is not a list"),
    ],
)
def test_an_element_of_another_form_than_its_type_does_not_leave(kind: str, content: object, what: str) -> None:
    """The platform's documents say what each is made of; the error tells a policy's author what is wrong."""
    with pytest.raises(ValueError, match=what) as caught:
        rewritten([TEXT, {"MsgType": kind, "MsgContent": content}])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("TIMTextElem", {"Text": ""}),
        ("TIMLocationElem", {"Desc": "", "Latitude": 1, "Longitude": "2"}),
        ("TIMCustomElem", {"Data": "", "More": 5}),
        ("TIMFileElem", {"UUID": "u", "fileName": "f", "FileSize": None}),
        ("TIMRelayElem", {"JsonMsgKey": "k", "MsgNum": 2}),
        ("TIMStreamElem", {"CompatibleText": "c", "Chunks": [{"Index": 1, "Markdown": "x" * 13_000}]}),
        ("TIMFutureElem", {"Text": 5}),
    ],
)
def test_an_element_may_have_what_the_documents_allow(kind: str, content: object) -> None:
    """Fields that not every version has, unknown ones, unknown types, and streams of more than 12 KB."""
    element = {"MsgType": kind, "MsgContent": content}
    assert json.loads(rewritten([element]))["MsgBody"] == [element]


STREAM = {"MsgType": "TIMStreamElem", "MsgContent": {"CompatibleText": ""}}


@pytest.mark.parametrize(
    ("size", "others"), [(MAX_REWRITE_BYTES, []), (MAX_STREAM_BYTES, [STREAM])], ids=["message", "stream"]
)
def test_a_rewrite_has_no_more_bytes_than_a_message_may_have(size: int, others: list[dict[str, Any]]) -> None:
    """Counted as they are sent, custom data and all elements together."""
    empty = len(answer(Verdict.rewrite(msg_body=[*holding(""), *others], custom_data="x"), C2C)) - len(ALLOWED)
    longest = Verdict.rewrite(msg_body=[*holding("é" + "x" * (size - empty - 2)), *others], custom_data="x")
    assert len(answer(longest, C2C)) == size + len(ALLOWED)
    for longer in (replace(longest, custom_data="xx"), replace(longest, msg_body=[*holding("x" * size), *others])):
        sent = {"MsgBody": longer.msg_body, "CloudCustomData": longer.custom_data}
        size = len(json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()) - 1  # braces, one comma
        with pytest.raises(
            ValueError, match=f"has {size} bytes; a message has 12288 at most, and 131072 with a stream"
        ):
            answer(longer, C2C)


def test_a_rewrite_of_any_size_is_refused_at_little_cost() -> None:
    """Before each of its elements is looked at."""
    with pytest.raises(ValueError, match="too many elements"):
        rewritten([5] * 1_000_000)
    with pytest.raises(ValueError, match="has 3000021 bytes"):
        answer(Verdict.rewrite(custom_data="x" * 3_000_000), C2C)


@pytest.mark.parametrize("custom_data", [7, b"x", {"a": 1}, "secret\ud800"])
def test_custom_data_that_is_no_text_does_not_leave(custom_data: Any) -> None:  # noqa: ANN401 # mistakes
    """It is a string, and one of Unicode."""
    with pytest.raises(ValueError, match=r"CloudCustomData|not JSON"):
        answer(Verdict.rewrite(custom_data=custom_data), C2C)


def test_a_verdict_of_an_unknown_kind_does_not_leave() -> None:
    """A typing mistake in somebody's policy is an error, not a pass."""
    with pytest.raises(ValueError, match="kind"):
        answer(Verdict("block"), C2C)  # type: ignore[arg-type] # that is the mistake


def test_each_moderated_command_has_its_own_codes() -> None:
    """A command that is judged later gets its range, or this fails."""
    assert set(OWN_CODES) == MODERATED


@given(
    st.builds(
        Verdict,
        kind=st.sampled_from(["allow", "rewrite", "forbid", "discard", "?"]),
        code=st.none() | st.integers() | st.integers(10_000, 131_000) | st.floats(),
        text=st.text(st.characters(exclude_categories=[])),
        msg_body=st.none() | st.lists(st.sampled_from([TEXT, CUSTOM, {}, 5]), max_size=3),
        custom_data=st.none() | st.text(st.characters(exclude_categories=[])),
    ),
    st.sampled_from([C2C, GROUP, ""]),
)
def test_any_verdict_is_answered_in_a_documented_shape_or_refused(verdict: Verdict, command: str) -> None:
    """Only rewrites and unknown kinds can be refused."""
    try:
        fields = json.loads(answer(verdict, command).decode())
    except ValueError:
        assert verdict.kind in {"rewrite", "?"}
        return
    assert fields["ActionStatus"] == "OK"
    codes: dict[str, set[int | None]] = {"allow": {0}, "rewrite": {0}, "discard": {2}, "forbid": {1, verdict.code}}
    assert fields["ErrorCode"] in codes[verdict.kind]
    assert set(fields) - {"ActionStatus", "ErrorInfo", "ErrorCode"} == (
        {
            name
            for name, value in [("MsgBody", verdict.msg_body), ("CloudCustomData", verdict.custom_data)]
            if value is not None
        }
        if verdict.kind == "rewrite"
        else set()
    )
