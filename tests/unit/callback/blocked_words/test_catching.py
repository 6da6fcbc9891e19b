"""What blocked_words finds, as attackers and innocent writers meet it."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blocked_words import FORBID, MASK, catches, said

from pushlane.callback import Verdict
from pushlane.callback.blocked_words.policy import BlockedWords

UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2064\u2066\u3164\ufe0f\ufeff\uffa0"
)
UNSEEN += "\x00\x08\U000e0041\U000e0100\ud800\udfff\ufffc\ufff9\U00013430\u0301\u0489\u20e3"
SHORT = BlockedWords(["bot", "ass", "cop", "нет", "ss"])


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


def test_the_verdict_carries_code_and_text_and_names_the_word_that_is_configured() -> None:
    """The reason tells operators which word and where, and nothing of the message."""
    policy = BlockedWords(["Casino"], code=120001, text="no gambling")
    expected = Verdict.forbid(code=120001, text="no gambling", reason='the blocked word "Casino" in TIMTextElem')
    assert policy.judge(said("secret \u0441\u0430sino")) == expected


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
