"""Every text of a message is found, and some can be replaced."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.callback import ChatMessage
from pushlane.callback.tencent.elements import MAX_DEPTH, ElementPath, TooDeep, readings, replaced, texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["MsgType", "MsgBody", "Text"]), inner),
    max_leaves=20,
)


def message(*elements: Any, custom_data: Any = "") -> ChatMessage:  # noqa: ANN401 - shapes no type allows
    """A message of these elements."""
    return ChatMessage(
        "C2C.CallbackBeforeSendMsg", "1", "a", "b", "k", list(elements), custom_data, online_only=False, fields={}
    )


def element(kind: str, **content: object) -> dict[str, Any]:
    """One element."""
    return {"MsgType": kind, "MsgContent": content}


def relay(*bodies: list[dict[str, Any]], **content: object) -> dict[str, Any]:
    """Messages that were forwarded together."""
    return element("TIMRelayElem", MsgList=[{"MsgBody": body} for body in bodies], **content)


def found(*elements: Any, custom_data: Any = "") -> set[str]:  # noqa: ANN401 - shapes no type allows
    """The texts, but for empty ones."""
    return {text.value for text in texts(message(*elements, custom_data=custom_data))} - {""}


@pytest.mark.parametrize(
    ("given_element", "strings"),
    [
        (element("TIMTextElem", Text="a"), {"a"}),
        (element("TIMCustomElem", Data="a", Desc="b", Ext="c", Sound="d"), {"a", "b", "c", "d"}),
        (element("TIMLocationElem", Desc="a", Latitude=1.5, Longitude=2), {"a"}),
        (element("TIMFaceElem", Index=1, Data="a"), {"a"}),
        (element("TIMFileElem", FileName="a", fileName="b", Url="u", UUID="v", FileSize=3), {"a", "b"}),
        (element("TIMSoundElem", Url="u", UUID="v", Second=1), set()),
        (element("TIMImageElem", UUID="u", ImageInfoArray=[{"URL": "v", "Alt": "a"}]), {"a"}),
        (element("TIMVideoFileElem", VideoUrl="u", ThumbUUID="v", Caption="a"), {"a"}),
        (element("TIMRelayElem", Title="a", CompatibleText="b", AbstractList=["c", "d"]), {"a", "b", "c", "d"}),
        (element("TIMRelayElem", JsonMsgKey="k", Title="a"), {"a"}),
        (element("TIMNewElem", Url="a", Deep=[{"er": ["b", 1, None]}]), {"TIMNewElem", "a", "b"}),
        (element("TIMTextElem", Text=["a"], Other="b"), {"a", "b"}),
        ({"MsgType": "TIMTextElem", "MsgContent": "a"}, {"a"}),
        ({"MsgType": "TIMTextElem", "MsgContent": None, "Extra": "a"}, {"a"}),
        ({"MsgContent": {"Text": "a"}}, {"a"}),
        ({"MsgType": ["a"], "MsgContent": ["b"]}, {"a", "b"}),
        ("a", {"a"}),
        (None, set()),
        (7, set()),
        ([["a"]], {"a"}),
    ],
)
def test_every_text_of_an_element_of_any_shape_is_found(given_element: object, strings: set[str]) -> None:
    """Of known elements all but addresses and identifiers, of unknown ones all, and what they call themselves."""
    assert found(given_element) == strings


def test_relayed_messages_are_read_with_their_custom_data() -> None:
    """Also a relay within a relay; the addresses of its elements are not texts."""
    inner = relay([element("TIMTextElem", Text="a"), element("TIMSoundElem", Url="u")], Title="b")
    outer = relay([inner, element("TIMCustomElem", Data="c")])
    outer["MsgContent"]["MsgList"][0]["CloudCustomData"] = "d"
    assert found(outer) == {"a", "b", "c", "d"}


def test_an_address_in_an_element_that_only_pretends_is_read() -> None:
    """Who writes an element within custom content decides what shows it."""
    pretended = element("TIMNewElem", MsgBody=[element("TIMSoundElem", Url="a")])
    assert found(pretended) == {"a", "TIMSoundElem", "TIMNewElem"}


def test_the_chunks_of_a_stream_are_read_one_by_one_and_joined() -> None:
    """In the order of their index."""
    chunks = [{"Index": 2, "Markdown": "no"}, {"Index": 1, "Markdown": "casi"}, None, {"Markdown": 5}, {"Index": "x"}]
    stream = element("TIMStreamElem", CompatibleText="c", Chunks=chunks)
    assert found(stream) == {"c", "casi", "no", "casino", "x"}


@pytest.mark.parametrize("custom_data", ["a", ["a"], {"k": {"k": "a"}}])
def test_custom_data_of_any_shape_is_read(custom_data: object) -> None:
    """It should be a string."""
    (text,) = texts(message(custom_data=custom_data))
    assert (text.value, text.where, text.displayed) == ("a", "CloudCustomData", False)


def test_text_elements_are_read_one_by_one_and_as_they_are_relayed() -> None:
    """With a line break between them, and also what only one of them shows."""
    two = [element("TIMTextElem", Text="a"), element("TIMFaceElem", Index=1), element("TIMTextElem", Text="b")]
    assert found(*two) == {"a", "b", "a\nb"} == {message(*two).text, "a", "b"}
    assert found(relay([element("TIMTextElem", Text="a"), element("TIMTextElem", Text="b")])) == {"a", "b"}
    (joined,) = (text for text in texts(message(*two)) if text.value == "a\nb")
    assert (joined.path, joined.displayed) == ((), False)


def test_where_a_text_was_found_is_never_said_in_the_senders_words() -> None:
    """A type that nobody knows could be anything."""
    assert {text.where for text in texts(message(element("buy at casino", Text="a"), custom_data="b"))} == {
        "CloudCustomData",
        "an unknown element",
    }


@pytest.mark.parametrize(
    ("given_element", "displayed"),
    [
        (element("TIMTextElem", Text="a"), True),
        (element("TIMFileElem", FileName="a"), True),
        (element("TIMRelayElem", AbstractList=["a"]), True),
        (relay([element("TIMLocationElem", Desc="a")]), True),
        (element("TIMCustomElem", Data="a"), False),
        (element("TIMFaceElem", Data="a"), False),
        (element("TIMNewElem", Text="a"), False),
    ],
)
def test_only_what_clients_show_as_it_is_counts_as_displayed(given_element: object, *, displayed: bool) -> None:
    """What a program reads must not be changed."""
    (text,) = (text for text in texts(message(given_element)) if text.value == "a")
    assert text.displayed is displayed


@given(JSON, JSON)
def test_no_shape_breaks_the_walk(body: object, custom_data: object) -> None:
    """Whatever JSON there is in place of elements and custom data."""
    odd = message(body, custom_data=custom_data)
    assert all(isinstance(text.value, str) for text in texts(odd))


def nested(levels: int) -> ChatMessage:
    """A message of this many lists and objects within each other, three of which every message has."""
    deep: object = "casino"
    for _ in range(levels - 3):
        deep = [deep]
    return message(element("TIMTextElem", Text=deep))


def test_what_is_nested_as_deep_as_allowed_is_read() -> None:
    """To the last level."""
    assert "casino" in {text.value for text in texts(nested(MAX_DEPTH))}


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
def test_what_is_nested_too_deep_is_an_error_and_no_recursion_error(levels: int) -> None:
    """A policy that forgets about it ends in on_error, and not in a message that passes."""
    with pytest.raises(TooDeep, match="nested deeper than 64"):
        list(texts(nested(levels)))


@given(
    JSON | st.text(), st.sampled_from(["TIMTextElem", "TIMFileElem", ""]), st.dictionaries(st.text(), JSON, max_size=1)
)
def test_the_short_cut_for_a_text_finds_what_the_long_way_finds(
    said: object, kind: str, more: dict[str, object]
) -> None:
    """With custom data there is none."""
    for only in (element(kind, Text=said), {**element(kind, Text=said), **more}, element(kind, Text=said, **more)):
        short, long = list(texts(message(only))), list(texts(message(only, custom_data="data")))
        assert [text for text in long if text.where != "CloudCustomData"] == short


def test_twelve_relays_within_each_other_are_read() -> None:
    """The limit leaves room for what people do."""
    body = [element("TIMTextElem", Text="a")]
    for _ in range(12):
        body = [relay(body)]
    assert found(*body) == {"a"}


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        (r'{"t": "\u0063asino"}', '{"t": "casino"}'),
        (r'{"t": "\u0063asino", "t": "x",}', '{"t": "casino", "t": "x",}'),
        (r"{\"t\": \"c\\u0061sino\"}", '{"t": "casino"}'),
        (json.dumps(json.dumps(json.dumps({"t": "c\u0430sino"}))), '""{"t": "c\u0430sino"}""'),
        (r"\u005cu0063asino", "casino"),
        (r"\ud835\udc1casino", "\U0001d41casino"),
        (r"cas\ud800ino", "cas\ud800ino"),
        (r"\ncasino\/x", "\ncasino/x"),
        ("\u202eonisac", "casino\u202e"),
        (r"\u202eonisac", "casino\u202e"),
        ("ca\u202eonis\u202c", "\u202cca\u202esino"),
        ("\u202eca\ud800", "?ac\u202e"),
    ],
)
def test_escapes_and_overrides_do_not_hide_what_a_string_says(value: str, reading: str) -> None:
    """However often it was escaped, and whether or not it is whole JSON."""
    first, *others = readings(value)
    assert first == value
    assert others[-1] == reading


@pytest.mark.parametrize("value", ["plain", r"C:\path\x", r"¯\_(ツ)_/¯", "\\" * 1000, r"\u12", r"\\\ "])
def test_a_string_without_escapes_is_read_once(value: str) -> None:
    """A backslash alone says nothing."""
    assert list(readings(value)) == [value]


def test_escapes_of_escapes_without_end_are_an_error() -> None:
    """Decoding them all would take the square of their number."""
    with pytest.raises(TooDeep, match="escaped more than 4 times"):
        list(readings("\\" + "u005c" * 10 + "u0063"))


def test_replacing_texts_keeps_all_else_and_leaves_the_given_elements_alone() -> None:
    """Siblings, addresses and numbers are the same objects as before."""
    body = [
        element("TIMTextElem", Text="a"),
        element("TIMImageElem", UUID="u", ImageInfoArray=[{"URL": "v"}]),
        relay([element("TIMTextElem", Text="b", Extra={"k": 1})], AbstractList=["c", "d"]),
    ]
    before = copy.deepcopy(body)
    inside: ElementPath = (2, "MsgContent", "MsgList", 0, "MsgBody", 0, "MsgContent", "Text")
    changed = replaced(body, {(0, "MsgContent", "Text"): "A", inside: "B", (2, "MsgContent", "AbstractList", 1): "D"})

    assert body == before
    expected = copy.deepcopy(before)
    expected[0]["MsgContent"]["Text"] = "A"
    expected[2]["MsgContent"]["MsgList"][0]["MsgBody"][0]["MsgContent"]["Text"] = "B"
    expected[2]["MsgContent"]["AbstractList"][1] = "D"
    assert changed == expected
    assert changed[1] is body[1]


@given(st.lists(JSON, max_size=3))
def test_every_place_leads_to_its_text(body: list[Any]) -> None:
    """Replacing each text by itself gives the same elements."""
    odd = message(*body)
    places = {text.path: text.value for text in texts(odd) if text.path}
    assert repr(replaced(odd.msg_body, places)) == repr(odd.msg_body)


@pytest.mark.alone
def test_reading_takes_time_by_the_size_of_the_message() -> None:
    """The worst that 256 KiB can hold."""
    for worst in ("\\" * 260_000, r"\u005c" * 43_000 + "n", '\\"' * 130_000):
        start = time.process_time()
        assert list(readings(worst))
        assert time.process_time() - start < 1
    many = message(relay([element("TIMTextElem", Text="a")] * 5_000, AbstractList=["a"] * 60_000))
    start = time.process_time()
    places = {text.path: "b" for text in texts(many) if text.value == "a"}
    assert len(replaced(many.msg_body, places)) == 1
    assert time.process_time() - start < 2
