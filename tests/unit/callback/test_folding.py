"""What looks the same folds to the same, and each folded character knows its place."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

import time
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.callback.blocked_words.folding import fold, foldings

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("CASINO", "casino"),
        ("ｃａｓｉｎｏ", "casino"),
        ("𝓬𝓪𝓼𝓲𝓷𝓸", "casino"),
        ("ⓒⓐⓢⓘⓝⓞ", "casino"),
        ("🅲🅰🆂🅸🅽🅾", "casino"),
        ("⒞⒜⒮⒤⒩⒪", "casino"),
        ("🇨🇦🇸🇮🇳🇴", "casino"),
        ("ᴄᴀsɪɴᴏ", "casino"),
        ("ᶜᵃˢⁱⁿᵒ", "casino"),
        ("ćàṧĩñọ", "casino"),
        ("c\u0336a\u0336s\u0336i\u0336n\u0336o\u0336", "casino"),
        ("ϲαѕіռο", "casino"),
        ("Ꮯᗅꓢ𐌉ℕ𐊒", "casino"),
        ("øłđħŧ", "oldht"),
        ("₵₳₴ɨ₦Ø ᑕᗩᔕIᑎO ƈąʂıŋơ", "casino casino casino"),
        ("ﬁﬂ", "fifl"),
        ("𑜀ob", "mob"),
        ("Straße", "strasse"),
        ("İstanbul ısı", "istanbul isi"),
        ("pay\u04cfoad", "payioad"),
        ("a \t\n\u00a0\u3000\u2800b", "a b"),
        ("a\x00b\x7fc\x1bd", "abcd"),
    ],
)
def test_disguises_of_ascii_letters_fold_to_them(text: str, folded: str) -> None:
    """Compatibility forms, accents, look-alikes, white space and control characters."""
    assert fold(text).text == folded


@pytest.mark.parametrize("text", ["clam clarn", "I1l| O0", "c4$1n0", "rn vv cl", "~`!@#$%^&*()_+-=[]{};':\",./<>?"])
def test_ascii_folds_by_case_alone(text: str) -> None:
    """TR39 would make these ASCII characters equal to others, and ordinary text full of matches."""
    assert fold(text).text == text.lower()


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_plain_ascii_takes_a_short_cut_to_the_same(text: str) -> None:
    """A character that cannot be seen leads it the long way."""
    short, long = fold(text), fold(text + "\u200b")
    assert (short.text, list(short.positions())) == (long.text, list(long.positions()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("की", "कि"),
        ("मैं", "में"),
        ("ป่า", "ปา"),
        ("มา", "ม้า"),
        ("か", "が"),
        ("は", "ぱ"),
        ("카", "가"),
        ("간", "가"),
        ("赌", "堵"),
        ("كتب", "كتاب"),
        ("ال", "اه"),
        ("দিন", "দীন"),
        ("кот", "код"),
        ("أ", "ا"),
        ("ه", "o"),
        ("۵", "o"),
        ("〇", "o"),
        ("ഠം", "ഠo"),
        ("ဝ", "o"),
        ("๐", "o"),
    ],
)
def test_different_words_of_other_scripts_stay_different(one: str, other: str) -> None:
    """Marks that spell are no accents, and scripts that look-alikes would break have none."""
    assert fold(one).text != fold(other).text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ПРИВЕТ", "привет"),
        ("ΚΑΖΊΝΟ", "καζίνο"),
        ("ΟΔΟΣ", "οδός"),
        ("ԱԲ", "աբ"),
        ("ᏣᎳᎩ", "ꮳꮃꭹ"),
        ("ｶｼﾞﾉ", "カジノ"),
        ("カジノ", normalize("NFD", "カジノ")),
        ("카지노", "ㅋㅏㅈㅣㄴㅗ"),
        ("카지노", normalize("NFD", "카지노")),
        ("박", "ㅂㅏㄱ"),
        ("값", "ㄱㅏㅂㅅ"),
        ("كازينو", "كـــازِينُو"),
        ("שָׁלוֹם", "שלום"),
        ("क़", "क\u093c"),
        ("ё", "е"),
        ("\U0002f800", "丽"),
    ],
)
def test_forms_of_one_word_of_another_script_become_equal(one: str, other: str) -> None:
    """Case, width, composition, stretching and optional vowel points."""
    assert fold(one).text == fold(other).text


@pytest.mark.parametrize("mark", ["\u0e48", "\u093f", "\u3099", "\u0654", "\u1037", "\u0301", "\u20e3", "\u0489"])
def test_a_mark_on_a_letter_of_another_script_is_an_accent(mark: str) -> None:
    """A Thai tone on a Latin letter spells nothing."""
    assert fold(f"ca{mark}{mark}sino{mark}").text == "casino"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("саѕіпо", {"casino"}),
        ("CАSІNО", {"casino", "caslno"}),
        ("CΑSΙΝΟ", {"casivo", "casino", "caslvo"}),
        ("casiηo", {"casino", "casiho"}),
        ("вadworд", {"вadworд", "badworд"}),
        ("pay\u04cfoad", {"payioad", "payload"}),
        ("ЮЫ", {"юы"}),
        ("plain", {"plain"}),
    ],
)
def test_a_character_is_read_as_each_letter_that_it_looks_like(text: str, read: set[str]) -> None:
    """As small letters look, as their capitals look, and bars as l."""
    assert {folded.text for folded in foldings(text)} == read


@given(ANY_TEXT)
def test_every_string_folds_and_every_folded_character_has_its_place(text: str) -> None:
    """Lone surrogates included; places never fall and lie in the text; the folded text can be encoded."""
    for folded in foldings(text):
        places = list(folded.positions())
        assert len(places) == len(folded.text)
        assert places == sorted(places)
        assert all(0 <= place < len(text) for place in places)
        assert folded.text == "".join(folded.pieces)
        folded.text.encode()


@given(ANY_TEXT)
def test_what_is_folded_folds_to_itself(text: str) -> None:
    """A word list may hold folded words."""
    folded = fold(text).text
    assert fold(folded).text == folded


def test_places_lead_to_the_characters_they_came_from() -> None:
    """Across what folds to nothing and what folds to several characters."""
    text = "\u200bx\u0301ﬁ  y"
    folded = fold(text)
    assert folded.text == "xfi y"
    assert [text[place] for place in folded.positions()] == ["x", "ﬁ", "ﬁ", " ", "y"]


@pytest.mark.alone
def test_folding_takes_time_by_the_length_of_the_text() -> None:
    """No text costs more than a few microseconds a character, whatever it is made of."""
    fold("")
    for text in ("\u0e48" * 50_000, " " * 50_000, "\u200b" * 50_000, "ﷺ" * 50_000, "вот " * 12_500):
        start = time.process_time()
        assert list(foldings(text))
        assert time.process_time() - start < 1
