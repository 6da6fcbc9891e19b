"""Text from outside on a line of ours: what controls it or hides in it can be seen, and emoji stay as they are."""

import unicodedata

import pytest

from pushlane.service.printable import escaped, escaped_but_emoji

WHOLE = {
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "rainbow flag": "🏳\ufe0f\u200d🌈",
    "pirate flag": "🏴\u200d☠\ufe0f",
    "flag of Hong Kong": "🇭🇰",
    "skin tone": "👩🏽\u200d💻",
    "heart on fire": "❤\ufe0f\u200d🔥",
    "shaken head": "🙂\u200d↔\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "copyright": "©\ufe0f",
    "a name's own way to write it": "葛\U000e0100城",
    "words": "Zoë Müller, 張偉, さくら, محمد, สมชาย, 김민준",
}
HIDDEN = {
    "joiner between letters": ("a\u200db", "a\\u200db"),
    "joiner of a letter and an emoji": ("👩\u200da\u200d👩", "👩\\u200da\\u200d👩"),
    "joiner at an end": ("\u200d👩\u200d", "\\u200d👩\\u200d"),
    "two joiners": ("👩\u200d\u200d💻", "👩\\u200d\\u200d💻"),
    "joiner of two that are escaped": ("\u2067\u200d\u2067", "\\u2067\\u200d\\u2067"),
    "other joiners": ("👩\u200c💻\u2060👩\u034f", "👩\\u200c💻\\u2060👩\\u034f"),
    "direction within an emoji": ("👩\u202e\u200d💻", "👩\\u202e\\u200d💻"),
    "all directions": ("\u200e\u200f\u061c\u202a\u2066", "\\u200e\\u200f\\u061c\\u202a\\u2066"),
    "selector of a letter": ("a\ufe0f", "a\\ufe0f"),
    "selector of a digit": ("1\ufe0f2", "1\\ufe0f2"),
    "second selector": ("❤\ufe0f\ufe0f", "❤\ufe0f\\ufe0f"),
    "bytes as selectors": ("😀\U000e0100\U000e0101", "😀\U000e0100\\U000e0101"),
    "tags": ("🏴\U000e0067\U000e007f", "🏴\\U000e0067\\U000e007f"),
    "blanks that are letters": ("\u3164\u115f\uffa0\u2800", "\\u3164\\u115f\\uffa0\\u2800"),
    "zero width": ("a\u200bb\ufeffc\xad", "a\\u200bb\\ufeffc\\xad"),
    "terminal": ("\x1b[2J\r\n\x9b", "\\x1b[2J\\r\\n\\x9b"),
    "half a pair": ("\ud83d", "\\ud83d"),
    "line separator": ("a\u2028b", "a\\u2028b"),
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
def test_what_people_write_stays(text: str) -> None:
    """An emoji of several characters is one for a browser, but not for every terminal; no script is escaped."""
    assert escaped_but_emoji(text) == text
    assert escaped_but_emoji(f"\n{text}") == f"\\n{text}"
    assert escaped(text) == text.replace("\u200d", "\\u200d")


@pytest.mark.parametrize(("text", "shown"), HIDDEN.values(), ids=HIDDEN)
def test_what_hides_or_turns_the_text_can_be_seen(text: str, shown: str) -> None:
    """Each such character is its escape, wherever it stands."""
    assert escaped_but_emoji(text) == shown
    assert escaped(text) == shown.replace("\u200d", "\\u200d")


def test_no_format_character_but_the_joiner_is_ever_left() -> None:
    """In the most favourable place, between two emoji, and for a browser; nor is a selector behind a letter."""
    control = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    controls = [char for char in map(chr, range(0x110000)) if unicodedata.category(char) in control]
    left = {char for char in controls if char in escaped_but_emoji(f"👩{char}💻")}
    assert left == {"\u200d"}
    selectors = [chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))]
    assert all(unicodedata.category(char) == "Mn" for char in selectors)
    assert all(char not in escaped(f"a{char}") for char in selectors)
