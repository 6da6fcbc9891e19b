"""Words of one language, and words that mix several."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

import pytest

from pushlane.callback.blocked_words.folding import WORD_SCRIPTS, own
from pushlane.callback.blocked_words.languages import _ALPHABETS, is_disguised


@pytest.mark.parametrize(
    "text",
    [
        "",
        "casino 777",
        "Съешь ещё этих мягких французских булок, да выпей чаю",
        "Чуєш їх, доцю, га? Кумедна ж ти, прощайся без ґольфів!",
        "У Іўі худы жвавы чорт у зялёнай камізэльцы пабег пад’есці",
        "Ђаче, уштеду плаћај жаљењем због џиновских цифара",
        "Бұл жерде қазақ сөздері үшін әріптер һәм ғылым",
        "Өнгө үүл тэнгэр",
        "Ўзбекистон ҳақида, точикӣ ҷавоб",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
        "Բարեւ ձեզ",
        "café Straße phở İstanbul",
        "去 casino 玩 カジノ 카지노 كازينو คาสิโน",
        "SIM-карта, IT-отдел",
    ],
)
def test_what_people_write_is_no_disguise(text: str) -> None:
    """Each word by itself: a text may be of several languages."""
    assert not is_disguised(own(text))


@pytest.mark.parametrize("text", ["c\u0430sino", "саѕіпо", "дѕ", "ԁа", "a β саr", "cаsi4no", "νо", "ϳа"])
def test_letters_of_several_scripts_or_of_no_language_are_one(text: str) -> None:
    """Also in one word of many."""
    assert is_disguised(own(text))


def test_each_script_of_whole_words_has_its_languages() -> None:
    """One without would let its words pass for Latin ones."""
    assert set(_ALPHABETS) == WORD_SCRIPTS
