r"""Folds a text so that what looks the same becomes the same, and remembers where each character came from.

Folded away, character by character: case, accents, compatibility forms (full width, mathematical, circled), invisible
characters (zero-width, format and control characters, fillers), and the look-alikes of ASCII letters in other scripts,
by Unicode's confusables (TR39, as in ``confusable-homoglyphs``). All white space becomes one space.

Only characters outside ASCII become ASCII letters. TR39 also treats ``1``, ``I`` and ``l`` as one character, and ``m``
and ``rn``; folded like that, ``clam`` would be ``clarn`` and ordinary text would be full of matches. Leet (``c4sino``),
letters spelled out (``c a s i n o``) and doubled letters are therefore different texts.

Words of other scripts are preserved: marks that spell (vowel signs, voicing, tones) stay after letters of their own
script and are only folded away as strays. Hangul is split into its letters, with final ones made initial ones, so that
a syllable equals its letters typed one by one. Scripts that are written from right to left, or without spaces, have no
look-alikes: turning one of their letters into an ASCII one would break their words.

A character can look like two letters, so a text has up to three foldings: Cyrillic and Greek as their small letters
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

# All characters with the property Default_Ignorable_Code_Point, including the fillers; then the tone marks that fit any
# Hangul and Han, the object replacement character, and non-characters.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u302a-\u302f\ufffc\ufdd0-\ufdef\ufffe\uffff]"
)
_BLANKS: Final = "\t\n\v\f\r\x85\u2800"
_VOICED: Final = "\u3099\u309a"
# ɴ, ø, 🅰, ⒜ and 🇦, only some of which compatibility forms and TR39 cover.
_LATIN: Final = re.compile(
    r"LATIN (?:(?:CAPITAL|SMALL) LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .+)?$|REGIONAL INDICATOR .* ([A-Z])$"
)
# Letters of "fancy text" generators and of spam that TR39 does not list.
_ALSO_ALIKE: Final = dict(zip("пŋᎦᗩᑕᗴᕮᘜᒎᑎᗝᑫᔕᗯᘔ₳฿₵€₣₲₤₦₱₴𐌀𐌍𐌏𐌔", "nnsaceegjnoqswzabcefglnpsanos", strict=True))
WORD_SCRIPTS: Final = frozenset(["CYRILLIC", "GREEK", "ARMENIAN"])
"""The scripts in which whole words look like Latin ones."""
_MAPPED_AT_ONCE: Final = 4096
_LATIN_LETTER: Final = re.compile("[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")
_BLOCKS: Final = (range(0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE1000))
"""The blocks with characters that a folding changes; all others are Han or unassigned."""


class Folded:
    """A text in its folded form.

    Attributes:
        text: The pieces, joined. It contains no lone surrogate, so it can be encoded.
    """

    def __init__(self, source: str, table: Mapping[int, str]) -> None:
        self._source = source
        self._table = table
        self._settled: list[str] | None = None
        self._positions: list[int] = []
        self._mapped = 0
        self._is_plain = source.isascii() and source.isprintable() and "  " not in source
        if self._is_plain:  # most texts: each character becomes its small letter
            self.text = source.lower()
            return
        self.text = source.translate(table)  # takes a twentieth of the time of the pieces
        if "  " in self.text or not _tables().marks.isdisjoint(self.text):
            self._settled = self._pieces(0, len(source))
            _settle(self._settled)
            self.text = "".join(self._settled)

    @property
    def pieces(self) -> Sequence[str]:
        """What each character of the text has become: usually one character, sometimes none or several."""
        return self._pieces(0, len(self._source))

    def positions(self, least: int | None = None) -> Sequence[int]:
        """The position in the original text of each character of the folded one, or of at least the first ``least``."""
        if self._is_plain:
            return range(len(self.text))
        while self._mapped < len(self._source) and (least is None or len(self._positions) < least):
            pieces = self._pieces(self._mapped, self._mapped + _MAPPED_AT_ONCE)
            self._positions += [position for position, piece in enumerate(pieces, self._mapped) for _ in piece]
            self._mapped += len(pieces)
        return self._positions

    def _pieces(self, start: int, end: int) -> list[str]:
        if self._settled is not None:
            return self._settled[start:end]
        piece = self._table.get
        return [piece(ord(character), character) for character in self._source[start:end]]


class _Table(NamedTuple):
    """A way to fold: the characters that it concerns, and what each character that changes becomes."""

    about: frozenset[str]
    pieces: Mapping[int, str]


class _Tables(NamedTuple):
    plain: Mapping[int, str]
    capitals: _Table
    bars: _Table
    own: Mapping[int, str]
    marks: frozenset[str]


def fold(text: str) -> Folded:
    """The first of the text's foldings, which ignores case."""
    return next(foldings(text))


def foldings(text: str) -> Iterator[Folded]:
    """The first folding of the text, then all others that differ from it. Accepts any string."""
    tables = _tables()
    yield Folded(text, tables.plain)
    if text.isascii():
        return
    for other in (tables.capitals, tables.bars):
        if not other.about.isdisjoint(text):
            yield Folded(text, other.pieces)


def own(text: str) -> str:
    """The text folded, except that letters of ``WORD_SCRIPTS`` stay in their own script."""
    return Folded(text, _tables().own).text


def written(text: str) -> str:
    """The text as ``own`` folds it, except that Latin letters keep their accents: an ``ú`` is not a ``u``."""
    plain = _tables().plain.get
    composed = normalize("NFC", _UNSEEN.sub("", text))
    return "".join(letter.lower() if _LATIN_LETTER.match(letter) else plain(ord(letter), letter) for letter in composed)


@lru_cache(maxsize=4096)
def is_seen(character: str) -> bool:
    """Whether a character is visible on its own, and not just a mark without a letter."""
    return fold(character).text != ""


def script(character: str) -> str:
    """The script that a letter belongs to, by the first word of its Unicode name."""
    return name(character, "").partition(" ")[0]


def _settle(pieces: list[str]) -> None:
    """Empties the pieces that depend on the one before: further spaces, and marks on letters of another script."""
    marks = _tables().marks
    base = ""
    for position, piece in enumerate(pieces):
        head = piece[:1]
        if (piece == " " == base) or (head in marks and not _spells(head, base)):
            pieces[position] = ""
        elif head and head not in marks:
            base = head


@lru_cache(maxsize=4096)
def _spells(mark: str, base: str) -> bool:
    of = script(base) if base else ""
    return of in ("HIRAGANA", "KATAKANA") if mark in _VOICED else of == script(mark)


@cache
def _tables() -> _Tables:
    """Takes a fraction of a second, once per process. Bounded, whatever is folded: it only contains what changes."""
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
    """True for the many characters that need no closer look: Han, Yi, unassigned ones."""
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
    """What the character looks like. TR39's l is a bar here, which is first an i."""
    shown = look.get(character, character)
    return "i" if shown == "l" else shown.lower()


def _bare(text: str) -> str:
    """The text decomposed, without its accents."""
    return "".join(part for part in normalize("NFKD", text) if not (_is_accent(part) or _UNSEEN.match(part)))


def _is_accent(character: str) -> bool:
    """Whether it is a mark that any letter can have, or one that Arabic and Hebrew are usually written without."""
    if category(character) not in ("Mn", "Me"):
        return character == "\u0640"  # the tatweel, which stretches Arabic words
    called = name(character, "")
    if called.startswith("COMBINING "):
        return character not in _VOICED
    # Madda and hamza make a different letter.
    return called.startswith(("HEBREW ", "ARABIC ")) and character not in "\u0653\u0654\u0655"


def _look_alikes() -> dict[str, str]:
    """Which ASCII letter each character looks like; several letters for ligatures."""
    # The file lists each pair both ways and treats m as rn. It wraps characters of right-to-left scripts in marks, so
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
