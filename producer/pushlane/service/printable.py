"""Text from outside as part of a line of ours: it cannot control a terminal, nor begin a line of its own."""

import re
from typing import Final

_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SYMBOLS: Final = "©®‼⁉\u2100-\u2bff〰〽㊗㊙\U0001f000-\U0001faff"
_IDEOGRAPHS: Final = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_INVISIBLE: Final = re.compile(
    f"[{_SELECTORS}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0]"  # fillers and the like
)
"""What ``str.isprintable`` lets pass although nobody sees it (Unicode's Default_Ignorable, and the Braille blank)."""
_SELECTOR: Final = (
    f"(?<=[{_SYMBOLS}{_IDEOGRAPHS}])[{_SELECTORS}]"  # chooses the coloured heart, or how a name is written
    "|(?<=[#*0-9])\ufe0f(?=\u20e3)"  # a keycap
)
"""Where it belongs: behind a character that it changes."""
_JOINER: Final = f"(?:(?<=[{_SYMBOLS}])|(?<=[{_SYMBOLS}]\ufe0f))\u200d(?=[{_SYMBOLS}])"
"""Where it belongs: between two symbols, such as the emoji of a family."""
_SELECTORS_LEFT: Final = re.compile(f"({_SELECTOR})")
_JOINERS_LEFT: Final = re.compile(f"({_JOINER}|{_SELECTOR})")


def escaped(text: str) -> str:
    """The text with all control, format, surrogate and invisible characters escaped.

    Joined emoji are taken apart by that: terminals do not agree on how wide they are.
    """
    return _escaped(text, _SELECTORS_LEFT)


def escaped_but_emoji(text: str) -> str:
    """The same with joined emoji left whole, as browsers draw them."""
    return _escaped(text, _JOINERS_LEFT)


def one_line(text: str) -> str:
    """The text with a space for each run of spaces, control, format and surrogate characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _escaped(text: str, left: re.Pattern[str]) -> str:
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    parts = left.split(text)  # every second one is left as it is
    return "".join(part if number % 2 else "".join(map(_visible, part)) for number, part in enumerate(parts))


def _visible(char: str) -> str:
    return char if char.isprintable() and not _INVISIBLE.match(char) else ascii(char)[1:-1]
