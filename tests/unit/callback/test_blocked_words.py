"""The policy blocked_words, as attackers and innocent writers meet it."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

import copy
import json
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.callback import ChatMessage, Verdict
from pushlane.callback.answer import answer
from pushlane.callback.blocked_words import BlockedWords, Work, load_words
from pushlane.callback.signature import Query
from pushlane.callback.tencent import C2C, parse

UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2064\u2066\u3164\ufe0f\ufeff\uffa0"
)
UNSEEN += "\x00\x08\U000e0041\U000e0100\ud800\udfff\ufffc\ufff9\U00013430\u0301\u0489\u20e3"

FORBID = BlockedWords(
    ["casino", "badword", "free money", "赌博", "赌", "カジノ", "카지노", "казино", "คาสิโน", "كازينو"]
)
MASK = BlockedWords(["casino", "badword", "赌博", "free money"], action="mask")
SHORT = BlockedWords(["bot", "ass", "cop", "нет", "ss"])


def message(*elements: dict[str, Any], custom_data: str = "") -> ChatMessage:
    """A message of these elements."""
    return ChatMessage("C2C.CallbackBeforeSendMsg", "1", "a", "b", "k", list(elements), custom_data, False, {})  # noqa: FBT003


def element(kind: str, **content: object) -> dict[str, Any]:
    """One element."""
    return {"MsgType": kind, "MsgContent": content}


def said(text: str) -> ChatMessage:
    """A message that is this text."""
    return message(element("TIMTextElem", Text=text))


def catches(policy: BlockedWords, text: str) -> bool:
    """Whether the policy has anything to say of this text."""
    return policy.judge(said(text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "casino",
        "CASINO",
        "ｃａｓｉｎｏ",
        "cásino",
        "cas\u200bino",
        "cas\u00adino",
        "bad\u2060word",
        "c\u0430sino",
        "\u0441asino",
        "casin\u043e",
        "\u0421\u0410SIN\u041e",
        "СASІNО",
        "CΑSΙΝΟ",
        "саѕіno",
        "casiηο",
        "𝗰𝗮𝘀𝗶𝗻𝗼",
        "𝒞𝒶𝓈𝒾𝓃ℴ",
        "𝕔𝕒𝕤𝕚𝕟𝕠",
        "ⓒⓐⓢⓘⓝⓞ",
        "🅒🅐🅢🅘🅝🅞",
        "🅲🅰🆂🅸🅽🅾",
        "🄲🄰🅂🄸🄽🄾",
        "⒞⒜⒮⒤⒩⒪",
        "🇨🇦🇸🇮🇳🇴",
        "ᴄᴀꜱɪɴᴏ",
        "ᶜᵃˢⁱⁿᵒ",
        "ꮯasino",
        "CᎪSINO",
        "сɑsіռօ",
        "ꓚꓮꓢꓲꓠꓳ",
        "c͓̽a͓̽s͓̽i͓̽n͓̽o͓̽",
        "c̶a̶s̶i̶n̶o̶",
        "ca\u0e48sino\u0e48",
        "casinø",
        "cаѕiñο",
        "c\U000e0061asino",
        "cas\ufeff\u180e\u3164\u115f\u034fino",
        "cas\x00\x08\x7fino",
        "cas\ud800ino",
        "\u202eonisac",
        "x \u202eonisac drowdab\u202c y",
        "ca\u202eonis\u202c",
        "ca\u202eonis",
        "cas\u202en\u202di\u202c\u202co",
        "ca\u2066\u202eonis\u202c\u2069",
        "\u200fca\u202eonis\u202c",
        r"ca\u202eonis\u202c",
        "hi\n\u202eonisac\u202c\nhi",
        "\u202eca\u202dino\u202cs, \u202eonisac",
        "\u200fmoney \u200ffree",
        "\u2067\u2066money\u2069 \u2066free\u2069\u2069",
        "casino🇺🇸",
        "🎰casino🎰",
        "casino🅰",
        "(casino)",
        "_casino_",
        "**casino**",
        "#casino",
        "@casino_royale",
        "https://casino.example/x",
        "casino's",
        "casino-night",
        "去casino玩",
        "カcasinoカ",
        "เล่นcasinoครับ",
        "саѕіпо",
        "₵₳₴ɨ₦Ø",
        "ᑕᗩᔕIᑎO",
        "ƈąʂıŋơ",
        "casino€5",
        "2×casino×2",
        "fr€€ money",
        "вadwоrd",
        "ВADWORD",
        "ƀađẁóŗɗ",
        "ＢＡＤＷＯＲＤ",
        "badᴡᴏrd",
        "free   money",
        "FREE\nMONEY",
        "free\u00a0\u200b\u3000money",
        "fгее mоnеу",
        "我爱赌博啊",
        "赌\u200b博",
        "賭赌",
        "新カジノへ",
        "ｶｼﾞﾉ",
        normalize("NFD", "カジノ"),
        "카지노에서",
        "ㅋㅏㅈㅣㄴㅗ",
        "카\u3164지\u115f노",
        normalize("NFD", "카지노"),
        "КАЗИНО",
        "kaзиho",
        "KA3ИHO казинo",
        "к\u0301азин\u20e3о",
        "ไปคาสิโนกัน",
        "كـازِينُو",
        r"\u0063asino",
        r"c\\u0061sino",
    ],
)
def test_a_disguised_word_is_caught(text: str) -> None:
    """Case, width, accents, what cannot be seen, look-alikes, letters as symbols, and what stands around it."""
    assert catches(FORBID, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "occasion",
        "mañana",
        "привет",
        "你好",
        "cas in order",
        "badwords-free zone",
        "casinos",
        "casinò123",
        "occasional casinolike",
        "cas-ino",
        "cas ino",
        "bad word",
        "bad-word",
        "free the money",
        "freemoney",
        "money, free",
        "carefree moneyed",
        "Casimir",
        "clam, clarn and casement",
        "caſinos",
        "ocasión",
        "Cassino",
        "кассино",
        "казинова",
        "подказино",
        "КАЗ И НО",
        "博士",
        "博物馆",
        "カジ ノ",
        "カシノ",
        "해카지노",
        "카지",
        "카지논",
        "คาสิ โน",
        "الكازينو",
        "كازينوهات",
        "हिन्दी में लिखा हुआ संदेश",
        "ภาษาไทยไม่มีช่องว่าง",
        "καλημέρα σας",
        "Привет, как дела? Нет, вот так.",
        "שלום עולם",
        "Ünïcödé façade naïve",
        "👨\u200d👩\u200d👧 🇨🇦 🇸🇪 ok ❤\ufe0f",
        "C:\\new\\bad\\word.txt ¯\\_(ツ)_/¯",
        "c4s1n0",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    ],
)
def test_innocent_text_passes(text: str) -> None:
    """Longer words, parts of words, other scripts; and the disguises that are documented as not caught."""
    assert not catches(FORBID, text)


@pytest.mark.parametrize(
    "text",
    ["БОТ BOT", "вot", "boт", "ВOТ", "НЕТ", "нeт", "нет", "🇸🇸", "ASS", "c\u043ep", "ꓚꓳꓑ", "ѕѕ", "сօр", "с4ор cop"],
)
def test_what_looks_like_a_blocked_word_counts_as_it(text: str) -> None:
    """Letters of several scripts in one word, of a script that is written in no chat, or that no language has."""
    assert catches(SHORT, text)


@pytest.mark.parametrize(
    ("word", "text", "disguised"),
    [
        ("cop", "сор", "соp"),
        ("cop", "СОР", "СOР"),
        ("cop", "вынеси сор!", "вынеси соp!"),
        ("rope", "горе", "rоре"),
        ("bot", "ВОТ", "ВOТ"),
        ("cop", "c\u043e\u0440а", "c\u043e\u0440"),
        ("ass", "аѕс", "аѕѕ"),
        ("pik", "рік", "рiк"),
        ("нет", "HET", "HЕТ"),
        ("no", "ΝΟ", "NΟ"),
        ("no", "νο", "nο"),
        ("casino", "саѕно", "саѕіпо"),
        ("cum", "cúm", "c\u200bum"),
        ("cum", "Cúm mùa", "ＣＵＭ"),
        ("cum", "cu\u0301m", "cu\u0336m\u0336"),
        ("ass", "aß", "ａｓｓ"),
        ("fur", "für", "f\u0336ur"),
        ("ano", "año", "𝓪𝓷𝓸"),
        ("cúm", "cum", "CÚM"),
        ("cu", "cu\u0301", "сu"),
    ],
)
def test_a_whole_word_of_another_language_is_not_what_it_looks_like(word: str, text: str, disguised: str) -> None:
    """But one with letters of two scripts, or with accents that no language writes, is."""
    assert not catches(BlockedWords([word]), text)
    assert catches(BlockedWords([word]), disguised)


@pytest.mark.parametrize("text", ["cásino", "CASINÓ", "cásińo"])
def test_accents_do_not_disguise_a_longer_word(text: str) -> None:
    """More than three letters that differ in accents alone are hardly ever another word."""
    assert catches(FORBID, text)


@pytest.mark.parametrize(
    "text", ["вот", "Вот так", "бот", "het boek", "Het", "class", "assess", "ⓒⓛⓐⓢⓢ", "оса", "🇺🇸🇸🇪", "нету", "1ss1", "ß"]
)
def test_small_letters_that_look_like_nothing_blocked_pass(text: str) -> None:
    """Russian `вот` resembles `bot` in capitals alone; letters in circles are one word."""
    assert not catches(SHORT, text)


@given(st.sampled_from(["casino", "badword"]), st.data())
def test_whatever_cannot_be_seen_does_not_hide_a_word(word: str, data: st.DataObject) -> None:
    """Any of it, anywhere, in any number."""
    gaps = st.text(UNSEEN, max_size=5)
    text = "".join(data.draw(gaps) + letter for letter in word) + data.draw(gaps)
    assert catches(FORBID, f"so {text} so")
    masked = MASK.judge(said(f"so {text} so"))
    assert masked is not None
    assert masked.kind == "rewrite" or not {*"\ud800\udfff"}.isdisjoint(text), "half a pair can not be sent, nor come"


@given(st.text(st.characters(exclude_categories=())), st.sampled_from(["", " casino", "\u202e", "\\u0061"]))
def test_any_text_is_judged(text: str, more: str) -> None:
    """Nothing a sender writes raises."""
    for policy in (FORBID, MASK):
        assert policy.judge(said(text + more)) is not None or "casino" not in more


@pytest.mark.parametrize(
    "given_message",
    [
        message(element("TIMTextElem", Text="hello"), element("TIMTextElem", Text="casino")),
        message(element("TIMCustomElem", Data='{"text":"casino"}')),
        message(element("TIMCustomElem", Data=json.dumps({"text": "c\u0430sino"}))),
        message(element("TIMCustomElem", Data=json.dumps(json.dumps({"text": "\ncásino\n"})))),
        message(element("TIMCustomElem", Desc="casino")),
        message(element("TIMCustomElem", Ext="casino")),
        message(element("TIMCustomElem", Sound="casino")),
        message(element("TIMLocationElem", Desc="casino", Latitude=1, Longitude=2)),
        message(element("TIMFaceElem", Index=1, Data="casino")),
        message(element("TIMFileElem", FileName="casino.pdf", Url="u")),
        message(element("TIMFileElem", fileName="casino.pdf", Url="u")),
        message(element("TIMRelayElem", Title="casino")),
        message(element("TIMRelayElem", CompatibleText="casino")),
        message(element("TIMRelayElem", AbstractList=["a: hi", "b: casino"])),
        message(element("TIMRelayElem", MsgList=[{"MsgBody": [element("TIMTextElem", Text="casino")]}])),
        message(element("TIMRelayElem", MsgList=[{"MsgBody": [], "CloudCustomData": "casino"}])),
        message(element("TIMStreamElem", CompatibleText="casino")),
        message(element("TIMStreamElem", Chunks=[{"Index": 1, "Markdown": "cas"}, {"Index": 2, "Markdown": "ino"}])),
        message(element("TIMNewElem", Any={"where": ["casino"]})),
        message({"MsgType": "TIMTextElem", "MsgContent": "casino"}),
        message(custom_data="casino"),
        message(custom_data=r'{"t":"\u0063asino"}'),
        message(element("TIMTextElem", Text="free"), element("TIMTextElem", Text="money")),
        message(element("TIMTextElem", Text="so free"), element("TIMFaceElem"), element("TIMTextElem", Text="money!")),
    ],
)
def test_every_part_of_a_message_is_judged(given_message: ChatMessage) -> None:
    """Each kind of element, custom data, and what was relayed."""
    verdict = FORBID.judge(given_message)
    assert verdict is not None
    assert verdict.kind == "forbid"


def test_addresses_and_identifiers_are_not_judged() -> None:
    """They are random, and nobody reads them."""
    assert FORBID.judge(message(element("TIMSoundElem", Url="https://x.example/casino", UUID="casino"))) is None


def test_the_verdict_carries_code_and_text_and_names_the_word_that_is_configured() -> None:
    """The reason tells operators which word and where, and nothing of the message."""
    policy = BlockedWords(["Casino"], code=120001, text="no gambling")
    expected = Verdict.forbid(code=120001, text="no gambling", reason='the blocked word "Casino" in TIMTextElem')
    assert policy.judge(said("secret \u0441\u0430sino")) == expected


def test_what_is_nested_or_escaped_too_deep_is_forbidden() -> None:
    """What was not read may hold anything."""
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    for policy in (FORBID, MASK):
        for suspicious in (message(element("TIMNewElem", Any=deep)), said("\\" + "u005c" * 9)):
            verdict = policy.judge(suspicious)
            assert verdict is not None
            assert verdict.kind == "forbid"
            assert "deeper" in verdict.reason or "escaped" in verdict.reason


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
        message(WORD, custom_data={"a": 1}),  # type: ignore[arg-type]
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


def test_a_mark_that_spells_belongs_to_the_word_and_is_no_character_of_its_own() -> None:
    """Also in a script without spaces, where words count anywhere."""
    assert catches(BlockedWords(["บน"]), "อยู่บนโต๊ะ")
    assert not catches(BlockedWords(["บน"]), "บนี้")
    assert not catches(BlockedWords(["か"]), "が")
    verdict = BlockedWords(["คาสิโน"], action="mask").judge(said("ไปคาสิโนกัน"))
    assert verdict is not None
    assert said("").rewritten(verdict).text == "ไป*****กัน"


def test_a_longer_word_that_does_not_stand_alone_hides_none_within_it() -> None:
    """And none that begins before it."""
    assert catches(BlockedWords(["free money now", "money"]), "free money nowhere")
    assert catches(BlockedWords(["a b", "b c"]), "xa b c")


def test_one_word_in_several_forms_is_one_word() -> None:
    """And one that needs a second look does not replace one that does not."""
    assert catches(BlockedWords(["нет", "het"]), "het")
    assert catches(BlockedWords(["het", "нет"]), "het")


@pytest.mark.parametrize(
    "word", ["C\u00c1sino", " casino ", "ｃａｓｉｎｏ", "c\u0430sino", "cas\u200bino", "\u2800casino"]
)
def test_the_list_may_hold_disguised_words(word: str) -> None:
    """Operators copy words from messages."""
    assert catches(BlockedWords([word]), "a casino")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "there is none"),
        (["a", "\u200b\u0301"], "word 2: contains nothing"),
        (["x" * 201], "word 1: has more than 200"),
    ],
)
def test_a_list_that_can_not_work_is_refused(words: list[str], complaint: str) -> None:
    """At start, and the word is named by its number."""
    with pytest.raises(ValueError, match=complaint):
        BlockedWords(words)


def test_words_are_loaded_from_a_file(tmp_path: Path) -> None:
    """A byte order mark, comments, blank lines, either line end; a phrase is a line."""
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffcasino\r\n\n  # a comment\n  free money \n赌博".encode())
    assert load_words(path) == ["casino", "free money", "赌博"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"casino\n\xff\xfe", "line 2: is not UTF-8"),
        (b"# nothing\n\n", "contains no word"),
        (b"", "contains no word"),
        ("a\n\u200b\n".encode(), "line 2: contains nothing visible"),
        (b"a\n\n" + b"x" * 201, "line 3: has more than 200 characters"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    """In words that whoever wrote the file understands."""
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"words\.txt.*" + complaint):
        load_words(path)


@pytest.mark.parametrize(
    "text", ["ha ", "x", "xxxx ", "сор ", "c\u200bop ", "the quick brown ", "привет ", "  ", "รัก", "赌"]
)
@pytest.mark.parametrize("action", ["forbid", "mask"])
def test_a_judgement_takes_work_by_the_length_of_the_text(text: str, action: Literal["forbid", "mask"]) -> None:
    """Occurrences that overlap are not looked at again and again, and what is masked is folded once."""
    policy = BlockedWords(["ha ha ha", "xxx", "cop", "赌博"], action=action)
    done = []
    for times in (500, 1000):
        work = Work(10**9)
        policy.examine(said(text * times), work)
        done.append(work.done)
    assert done[1] <= 2.1 * done[0]
    assert done[1] < 1000 * 200


@pytest.mark.parametrize("action", ["forbid", "mask"])
@pytest.mark.parametrize("text", ["x" * 200_000, "xxxx " * 40_000, "сор " * 60_000, "ﷺ" * 80_000])
def test_what_takes_too_much_work_is_forbidden(text: str, action: Literal["forbid", "mask"]) -> None:
    """While it is judged, no other question is: the deadline can not end what runs on the event loop."""
    verdict = BlockedWords(["xxx", "cop"], action=action).judge(said(text))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == ("forbid", "the message contains more than can be judged in time")


@pytest.mark.parametrize("text", ["xxxx " * 2450, "сор " * 1700, "the xx of " * 1200, "ภาษา " * 900])
def test_no_message_of_the_platforms_size_takes_too_much(text: str) -> None:
    """12 KB, of which a large part looks like blocked words."""
    assert BlockedWords(["xxx", "cop"]).judge(said(text)) is None


def test_it_runs_on_the_event_loop() -> None:
    """It is quick and touches nothing."""
    assert (BlockedWords.name, BlockedWords.inline) == ("blocked_words", True)
