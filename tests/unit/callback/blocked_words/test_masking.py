"""Masking blocked words: what is left of a message, and what cannot be masked."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blocked_words import FORBID, MASK, element, message, said

from pushlane.callback import ChatMessage
from pushlane.callback.tencent.answer import answer
from pushlane.callback.tencent.question import C2C, parse
from pushlane.callback.tencent.signature import Query


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a casino, a CASINO!", "a ******, a ******!"),
        ("cas\u200bino", "******"),
        ("ca\u0301sino\u0301.", "******."),
        ("ｃａｓｉｎｏ", "******"),
        ("𝓬𝓪𝓼𝓲𝓷𝓸 x", "****** x"),
        ("我爱赌博啊", "我爱**啊"),
        ("free  money!", "***********!"),
        ("casino occasion", "****** occasion"),
        ("casino\ufe0f\u20e3", "******"),
        ("👍🏽 casino 👨\u200d👩", "👍🏽 ****** 👨\u200d👩"),
    ],
)
def test_a_masked_word_is_as_many_asterisks_as_it_has_characters_to_see(text: str, masked: str) -> None:
    """And the rest of the text stays as it was."""
    verdict = MASK.judge(said(text))
    assert verdict is not None
    assert verdict.kind == "rewrite"
    assert said(text).rewritten(verdict).text == masked


def test_masking_keeps_the_other_elements_and_never_changes_the_message() -> None:
    """Addresses, numbers, unknown elements and relayed messages stay."""
    body = [
        element("TIMTextElem", Text="the casino", Extra=1),
        element("TIMImageElem", UUID="u", ImageInfoArray=[{"URL": "https://x.example/casino"}]),
        element("TIMFileElem", FileName="casino.pdf", Url="https://x.example/casino", UUID="u"),
        element(
            "TIMRelayElem", AbstractList=["casino"], MsgList=[{"MsgBody": [element("TIMTextElem", Text="casino")]}]
        ),
        element("TIMNewElem", Any="thing"),
    ]
    before = copy.deepcopy(body)
    verdict = MASK.judge(message(*body, custom_data="{}"))

    assert body == before
    assert verdict is not None
    assert (verdict.kind, verdict.custom_data) == ("rewrite", None)
    assert verdict.reason.startswith('the blocked word "casino" in TIM')
    assert verdict.msg_body == [
        element("TIMTextElem", Text="the ******", Extra=1),
        body[1],
        element("TIMFileElem", FileName="******.pdf", Url="https://x.example/casino", UUID="u"),
        element(
            "TIMRelayElem", AbstractList=["******"], MsgList=[{"MsgBody": [element("TIMTextElem", Text="******")]}]
        ),
        body[4],
    ]


@pytest.mark.parametrize(
    "given_message",
    [
        message(element("TIMTextElem", Text="casino"), custom_data='{"t": "casino"}'),
        message(custom_data="casino"),
        message(element("TIMCustomElem", Data='{"casino": 1}')),
        message(element("TIMNewElem", Text="casino")),
        said(r"casino \u0063asino"),
        said("\u202eonisac"),
        message(element("TIMStreamElem", Chunks=[{"Markdown": "cas"}, {"Markdown": "ino"}])),
        message(element("TIMRelayElem", MsgList=[{"MsgBody": [], "CloudCustomData": "casino"}])),
        message(element("TIMTextElem", Text="free"), element("TIMTextElem", Text="money")),
        said("ca\u202eonis\u202c"),
    ],
)
def test_what_can_not_be_masked_in_place_is_forbidden(given_message: ChatMessage) -> None:
    """What programs read, what escapes hide, and what no single string holds."""
    verdict = MASK.judge(given_message)
    assert verdict is not None
    assert verdict.kind == "forbid"


WORD, CUSTOM = element("TIMTextElem", Text="casino"), element("TIMCustomElem", Data="{}")
NESTED: dict[str, Any] = {}
for _ in range(70):
    NESTED = {"a": NESTED}


@pytest.mark.parametrize(
    "given_message",
    [
        message(WORD, CUSTOM, CUSTOM),
        message(WORD, element("TIMNewElem", A=NESTED)),
        # What a policy before may have made of it.
        message(WORD, {"MsgType": "TIMFaceElem"}),
        message(WORD, {"MsgContent": {}}),
        message(element("TIMTextElem", Text="casino", At=object())),
        message(element("TIMTextElem", Text="casino", At=float("nan"))),
        message(element("TIMTextElem", Text="casino \ud800")),
        message(WORD, custom_data={"a": 1}),  # type: ignore[arg-type] # a mistake
    ],
)
def test_what_can_not_be_sent_once_it_is_masked_is_forbidden(given_message: ChatMessage) -> None:
    """An answer that the platform would not take lets the message pass as it was."""
    verdict = MASK.judge(given_message)
    assert verdict is not None
    assert verdict.kind == "forbid"
    assert "casino" in verdict.reason or "deep" in verdict.reason


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    # Half of the texts hold a word.
    | st.text() | st.text().map("{} casino".format),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KINDS = st.sampled_from(["TIMTextElem", "TIMCustomElem", "TIMFileElem", "TIMRelayElem", "TIMNewElem"])
FIELDS = st.sampled_from(["Text", "Desc", "Data", "FileName", "AbstractList", "MsgList"])
ELEMENTS = st.fixed_dictionaries({"MsgType": KINDS, "MsgContent": st.dictionaries(FIELDS, VALUE, min_size=1)})


@given(st.lists(ELEMENTS | st.sampled_from([WORD, CUSTOM]), max_size=4), VALUE.map(str))
def test_a_mask_can_always_be_sent(body: list[dict[str, Any]], custom_data: str) -> None:
    """Whatever may come from the platform is let alone, forbidden, or answered without the word."""
    asked = {"CallbackCommand": C2C, "From_Account": "a", "To_Account": "b", "MsgKey": "k", "MsgBody": body}
    asked["CloudCustomData"] = custom_data
    given_message = parse(json.dumps(asked).encode(), Query("1", C2C))
    assert isinstance(given_message, ChatMessage)
    verdict = MASK.judge(given_message)
    if verdict is not None and verdict.kind == "rewrite":
        assert not FORBID.judge(given_message.rewritten(verdict))
        assert b"***" in answer(verdict, C2C)
