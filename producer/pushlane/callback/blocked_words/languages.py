"""Which letters appear together in one word: a combination that no language has is a disguise."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pushlane.callback.blocked_words.folding import script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RUSSIAN: Final = frozenset("абвгдежзиклмнопрстуфхцчшщъыьэюя")
_ALPHABETS: Final[Mapping[str, Sequence[frozenset[str]]]] = {
    "CYRILLIC": (
        _RUSSIAN,
        _RUSSIAN | frozenset("ґєі"),  # Ukrainian, Belarusian
        _RUSSIAN | frozenset("ђјљњћџ"),  # Serbian, Macedonian
        _RUSSIAN | frozenset("әғқңөұүһі"),  # Kazakh
        _RUSSIAN | frozenset("әөүҗңһҙҡғҫ"),  # Kyrgyz, Mongolian, Tatar, Bashkir
        _RUSSIAN | frozenset("ғқҳҷў"),  # Tajik, Uzbek
        _RUSSIAN | frozenset("\u04cf"),  # Chechen and its neighbours
    ),
    "GREEK": (frozenset("αβγδεζηθικλμνξοπρστυφχψω"),),
    "ARMENIAN": (frozenset(map(chr, range(0x561, 0x588))),),
}
"""The small letters of languages, without accents, by script; other scripts are not checked.

Nobody writes a word with letters that are not all in one of these. The rare Macedonian U+0455 is left out, because it
is the best one for forging English words.
"""
_WORD: Final = re.compile(r"[^\W_]+")


@lru_cache(maxsize=4096)
def is_disguised(text: str) -> bool:
    """Whether a word of this text, as ``folding.own`` returns it, mixes scripts or belongs to no language."""
    return not all(map(_is_of_one_language, _WORD.findall(text)))


def _is_of_one_language(word: str) -> bool:
    letters = frozenset(filter(str.isalpha, word))
    scripts = {script(letter) for letter in letters}
    if len(scripts) > 1:
        return False
    alphabets = _ALPHABETS.get(next(iter(scripts), ""))
    return alphabets is None or any(letters <= alphabet for alphabet in alphabets)
