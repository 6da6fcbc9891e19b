r"""Folds a text so that what looks the same becomes the same, and keeps where each character came from.

What is folded away, character by character: case, accents, compatibility forms (full width, mathematical, circled),
what cannot be seen (zero-width, format and control characters, fillers), and the look-alikes of ASCII letters in other
scripts, by Unicode's confusables (TR39, as ``confusable-homoglyphs`` carries them). All white space is one space.

Only characters outside ASCII become ASCII letters. TR39 also calls ``1``, ``I`` and ``l`` one character, and ``m`` and
``rn``; folded so, ``clam`` would be ``clarn`` and ordinary text would be full of matches. Leet (``c4sino``), letters
spelled out (``c a s i n o``) and doubled letters are therefore other texts.

Words of other scripts stay themselves: marks that spell (vowel signs, voicing, tones) stay after letters of their own
script and are folded away only where they are strays. Hangul falls into its letters, final ones made initial ones,
so that a syllable equals its letters typed one by one. Scripts that are written from right to left, or without spaces,
have no look-alikes: a letter of theirs that became an ASCII one would break their words.

A character can look like two letters. So a text has up to three foldings: Cyrillic and Greek as their small letters
look, as their capitals look (Cyrillic En is an h, Greek Nu an n), and bars (a capital Iota) as l, after the i of the
first two.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import category, lookup, name, normalize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SPACELESS: Final = frozenset(
    [
        "BOPOMOFO",
        "CJK",
        "HANGZHOU",
        "HIRAGANA",
        "IDEOGRAPHIC",
        "KATAKANA",
        "KATAKANA-HIRAGANA",
        "KHMER",
        "LAO",
        "MYANMAR",
        "THAI",
        "TIBETAN",
    ]
)
"""The scripts that put no space between words, as :func:`script` names them."""

# Everything of the property Default_Ignorable_Code_Point, the fillers among it; then the tone marks that fit any Hangul
# and Han, the object replacement character, and what is no character.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u302a-\u302f\ufffc\ufdd0-\ufdef\ufffe\uffff]"
)
_BLANKS: Final = "\t\n\v\f\r\x85\u2800"
_VOICED: Final = "\u3099\u309a"
# ɴ, ø, 🅰, ⒜ and 🇦, of which compatibility forms and TR39 know some.
_LATIN: Final = re.compile(
    r"LATIN (?:(?:CAPITAL|SMALL) LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .+)?$|REGIONAL INDICATOR .* ([A-Z])$"
)
# Letters of "fancy text" generators and of spam that TR39 does not list.
_ALSO_ALIKE: Final = dict(zip("пŋᎦᗩᑕᗴᕮᘜᒎᑎᗝᑫᔕᗯᘔ₳฿₵€₣₲₤₦₱₴𐌀𐌍𐌏𐌔", "nnsaceegjnoqswzabcefglnpsanos", strict=True))
WORD_SCRIPTS: Final = frozenset(["CYRILLIC", "GREEK", "ARMENIAN"])
"""The scripts in which whole words look like Latin ones."""
_PLACED_AT_ONCE: Final = 4096
_LATIN_LETTER: Final = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")
_BLOCKS: Final = (range(0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE1000))
"""Where characters are that a folding changes; beyond lie Han characters, and nothing."""


class Folded:
    """A text in its folded form.

    Attributes:
        text: The pieces, joined. It holds no lone surrogate, so that it can be encoded.
    """

    def __init__(self, source: str, table: Mapping[int, str]) -> None:
        self._source = source
        self._table = table
        self._settled: list[str] | None = None
        self._places: list[int] = []
        self._placed = 0
        self._is_plain = source.isascii() and source.isprintable() and "  " not in source
        if self._is_plain:  # most texts: each character is its small letter
            self.text = source.lower()
            return
        self.text = source.translate(table)  # a twentieth of the time that the pieces take
        if "  " in self.text or not _tables().marks.isdisjoint(self.text):
            self._settled = self._pieces(0, len(source))
            _settle(self._settled)
            self.text = "".join(self._settled)

    @property
    def pieces(self) -> Sequence[str]:
        """What has become of each character of the text: mostly one character, or none, or several."""
        return self._pieces(0, len(self._source))

    def places(self, least: int | None = None) -> Sequence[int]:
        """For each character of the folded text, or so many at least, its place in the original one; never falling."""
        if self._is_plain:
            return range(len(self.text))
        while self._placed < len(self._source) and (least is None or len(self._places) < least):
            pieces = self._pieces(self._placed, self._placed + _PLACED_AT_ONCE)
            self._places += [place for place, piece in enumerate(pieces, self._placed) for _ in piece]
            self._placed += len(pieces)
        return self._places

    def _pieces(self, start: int, end: int) -> list[str]:
        if self._settled is not None:
            return self._settled[start:end]
        piece = self._table.get
        return [piece(ord(character), character) for character in self._source[start:end]]


class _Table(NamedTuple):
    """A way to fold: the characters that it is about, and what becomes of each character that changes."""

    about: frozenset[str]
    pieces: Mapping[int, str]


class _Tables(NamedTuple):
    plain: Mapping[int, str]
    capitals: _Table
    bars: _Table
    own: Mapping[int, str]
    marks: frozenset[str]


def fold(text: str) -> Folded:
    """The first of the text's foldings, in which case never matters."""
    return next(foldings(text))


def foldings(text: str) -> Iterator[Folded]:
    """Every folding of the text that differs from the first, after the first. Takes any string."""
    tables = _tables()
    yield Folded(text, tables.plain)
    if text.isascii():
        return
    for other in (tables.capitals, tables.bars):
        if not other.about.isdisjoint(text):
            yield Folded(text, other.pieces)


def own(text: str) -> str:
    """The text folded, but for the letters of the scripts that whole words are written in: they stay what they are."""
    return Folded(text, _tables().own).text


def written(text: str) -> str:
    """The text as ``own`` folds it, but for Latin letters with what languages write on them: an ``ú`` is no ``u``."""
    plain = _tables().plain.get
    composed = normalize("NFC", _UNSEEN.sub("", text))
    return "".join(letter.lower() if _LATIN_LETTER.match(letter) else plain(ord(letter), letter) for letter in composed)


@lru_cache(maxsize=4096)
def is_seen(character: str) -> bool:
    """Whether a character that stands alone is any more than a mark with nothing to stand on."""
    return fold(character).text != ""


def script(character: str) -> str:
    """The script that a letter belongs to, by the first word of its Unicode name."""
    return name(character, "").partition(" ")[0]


def _settle(pieces: list[str]) -> None:
    """Empties what depends on what stands before it: further spaces, and marks on letters of another script."""
    marks = _tables().marks
    base = ""
    for place, piece in enumerate(pieces):
        head = piece[:1]
        if (piece == " " == base) or (head in marks and not _spells(head, base)):
            pieces[place] = ""
        elif head and head not in marks:
            base = head


@lru_cache(maxsize=4096)
def _spells(mark: str, base: str) -> bool:
    of = script(base) if base else ""
    return of in ("HIRAGANA", "KATAKANA") if mark in _VOICED else of == script(mark)


@cache
def _tables() -> _Tables:
    """Takes a fraction of a second, once a process. Bounded, whatever is folded: it holds only what changes."""
    look = _look_alikes()
    finals = _final_consonants()
    plain: dict[str, str] = {}
    capitals, bars, own, marks = {}, {}, {}, []
    for character in map(chr, chain.from_iterable(_BLOCKS)):
        if _is_itself(character, look):
            continue
        folded = _piece(character, look).translate(finals)
        if folded != character:
            plain[character] = folded
        elif category(character)[0] == "M":
            marks.append(character)
        capital = look.get(_bare(character.upper()), "").lower()
        if capital not in ("", "l", folded):
            capitals[character] = capital
        # TR39 calls the small palochka an i; it is as long as an l.
        if folded == "i" and (look.get(character) == "l" or character == "\u04cf"):
            bars[character] = "l"
        if script(character) in WORD_SCRIPTS:
            own[character] = _bare(_bare(character).casefold())
    return _Tables(
        str.maketrans(plain),
        _Table(frozenset(capitals), str.maketrans(plain | capitals)),
        _Table(frozenset(bars), str.maketrans(plain | bars)),
        str.maketrans(plain | own),
        frozenset(marks),
    )


def _is_itself(character: str, look: dict[str, str]) -> bool:
    """True for the many that need no closer look: Han, Yi, what is not assigned."""
    plain = category(character) in ("Lo", "Cn", "Co") and normalize("NFKD", character) == character
    return plain and character not in look and not _UNSEEN.match(character)


def _piece(character: str, look: dict[str, str]) -> str:
    if (kind := category(character)) in ("Cf", "Cs") or _UNSEEN.match(character):
        return ""
    if kind[0] == "Z" or character in _BLANKS:
        return " "
    if kind == "Cc":
        return ""
    if not character.isascii() and (latin := _LATIN.search(name(character, ""))):
        return (latin[1] or latin[2]).lower()
    return "".join(_small(part, look) for part in character.casefold())


def _small(character: str, look: dict[str, str]) -> str:
    bare = _bare(character)
    if bare.isascii():
        return bare.lower()
    if character in look:
        return _shown(character, look)
    return "".join(_shown(part, look) for part in _bare(bare.casefold()))


def _shown(character: str, look: dict[str, str]) -> str:
    """What it looks like. TR39's l is a bar here, which is an i first."""
    shown = look.get(character, character)
    return "i" if shown == "l" else shown.lower()


def _bare(text: str) -> str:
    """The text taken apart, without its accents."""
    return "".join(part for part in normalize("NFKD", text) if not (_is_accent(part) or _UNSEEN.match(part)))


def _is_accent(character: str) -> bool:
    """A mark that any letter can wear, or one that Arabic and Hebrew are mostly written without."""
    if category(character) not in ("Mn", "Me"):
        return character == "\u0640"  # the tatweel, which stretches an Arabic word
    called = name(character, "")
    if called.startswith("COMBINING "):
        return character not in _VOICED
    # Madda and hamza make another letter.
    return called.startswith(("HEBREW ", "ARABIC ")) and character not in "\u0653\u0654\u0655"


def _look_alikes() -> dict[str, str]:
    """Which ASCII letter each character looks like; several letters for ligatures."""
    # It lists each pair both ways and calls m an rn. Characters of right-to-left scripts it wraps in marks, so that
    # none of them is a single character here.
    raw = json.loads(files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8"))
    look = dict(_ALSO_ALIKE)
    for character, alike in raw.items():
        if len(character) == 1 and not character.isascii() and _may_look(character):
            for entry in alike:
                letters = _bare(entry["c"]).replace("rn", "m")
                if letters.isascii() and letters.isalpha() and (len(letters) == 1 or script(character) == "LATIN"):
                    look[character] = letters
    return look


def _may_look(character: str) -> bool:
    # EXTENDED are the Persian digits.
    return category(character)[0] != "M" and script(character) not in SPACELESS | {"EXTENDED"}


def _final_consonants() -> dict[int, str]:
    """Final Hangul consonants as initial ones; double ones as two."""
    names = ((code, name(chr(code)).rpartition(" ")[2].split("-")) for code in range(0x11A8, 0x11C3))
    return {code: "".join(lookup(f"HANGUL CHOSEONG {part}") for part in parts) for code, parts in names}
