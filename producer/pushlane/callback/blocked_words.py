"""The policy ``blocked_words``: words and phrases that no message may hold, however they are disguised.

A word counts where it stands alone: no letter or digit beside it. Words of scripts without spaces count anywhere, and a
Hangul word also where particles follow it. ``casinos`` and ``casino777`` are other words than ``casino``: whoever
wants them adds them. What looks the same as a blocked word counts as it, also when it is a word of another script.

What is folded away is in :mod:`pushlane.callback.folding`, where it is looked for in :mod:`pushlane.callback.elements`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from unicodedata import category

from ahocorasick_rs import AhoCorasick

from pushlane.callback.answer import answer
from pushlane.callback.elements import TooDeep, readings, replaced, texts
from pushlane.callback.folding import SPACELESS, Folded, fold, foldings, script
from pushlane.callback.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.elements import Place

MAX_WORD_CHARS: Final = 200
"""A longer line is no word or phrase: the file is probably another one."""


class _Pattern(NamedTuple):
    word: str
    as_capitals: bool


class _Match(NamedTuple):
    word: str
    start: int
    end: int


def load_words(path: Path) -> list[str]:
    """The words of a UTF-8 file: a word or phrase a line, lines that begin with ``#`` and blank ones ignored.

    Raises:
        ValueError: The file can not be read, holds no word, or a line of it is none; its number is named.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    words = []
    for number, line in enumerate(lines, 1):
        try:
            word = line.decode().strip()
        except UnicodeDecodeError:
            raise ValueError(f"{path}, line {number}: is not UTF-8") from None
        if word and not word.startswith("#"):
            if problem := _problem(word):
                raise ValueError(f"{path}, line {number}: {problem}")
            words.append(word)
    if not words:
        raise ValueError(f"{path}: holds no word")
    return words


class BlockedWords:
    """Forbids a message that holds a blocked word, or masks the word by asterisks.

    Masked is what clients show as it is: text, titles, file names and the like, in relayed messages too. A word that
    is found elsewhere (custom data, unknown elements, behind escapes, across the chunks of a stream) can not be masked
    without breaking what a program reads: then the message is forbidden, as is one that is nested too deep to be read,
    and one that the platform takes from senders but not from us, such as with two custom elements.

    Building it takes some tenths of a second. With 10,000 words, judging takes some hundredths of a millisecond for an
    ordinary message, and for 5,000 characters 0.3 ms in ASCII and up to 3 ms in other scripts.

    Raises:
        ValueError: There is no word, or one of which folding leaves nothing; its number is named, the first being 1.
    """

    name = "blocked_words"
    inline = True

    def __init__(
        self,
        words: Sequence[str],
        *,
        action: Literal["forbid", "mask"] = "forbid",
        code: int | None = None,
        text: str = "",
    ) -> None:
        if not words:
            raise ValueError("blocked words: there is none")
        patterns: dict[str, _Pattern] = {}
        for number, word in enumerate(words, 1):
            if problem := _problem(word):
                raise ValueError(f"blocked words, word {number}: {problem}")
            for folded in foldings(word):
                pattern = folded.text.strip()
                # Of two words that fold to one, the one that needs no second look stays.
                if pattern not in patterns or (patterns[pattern].as_capitals and not folded.as_capitals):
                    patterns[pattern] = _Pattern(word, folded.as_capitals)
        self._patterns = list(patterns.values())
        self._search = AhoCorasick(list(patterns))
        self._masks = action == "mask"
        self._code = code
        self._text = text

    def judge(self, message: ChatMessage) -> Verdict | None:
        """Forbid or rewrite, or nothing to say."""
        try:
            reason = self._finding(message)
            if reason and self._masks and (masked := self._masked(message)):
                rewrite = Verdict.rewrite(msg_body=replaced(message.msg_body, masked), reason=reason)
                after = message.rewritten(rewrite)
                further = self._finding(after)  # what masking could not reach
                if not further and _can_be_sent(after):
                    return rewrite
                reason = further or f"{reason}; masked, it could not be sent"
        except TooDeep as error:
            reason = str(error)
        return Verdict.forbid(code=self._code, text=self._text, reason=reason) if reason else None

    def _finding(self, message: ChatMessage) -> str:
        """The first blocked word found, for the record; nothing when there is none."""
        for text in texts(message):
            for reading in readings(text.value):
                for match in self._matches(reading):
                    return f'the blocked word "{match.word}" in {text.where}'
        return ""

    def _masked(self, message: ChatMessage) -> dict[Place, str]:
        masked = {}
        for text in texts(message):
            if text.displayed and (matches := list(self._matches(text.value))):
                masked[text.place] = _starred(text.value, matches)
        return masked

    def _matches(self, text: str) -> Iterator[_Match]:
        for folded in foldings(text):
            # Overlapping, or a longer word that does not stand alone would hide one within it that does.
            found = self._search.find_matches_as_indexes(folded.text, overlapping=True)
            if not found:
                continue
            places = folded.places()
            for pattern, start, end in found:
                word, as_capitals = self._patterns[pattern]
                match = _Match(word, places[start], places[end - 1] + 1)
                sure = not (as_capitals or folded.as_capitals) or _look_like_capitals(text[match.start : match.end])
                if sure and _stands_alone(text, folded, places, start, end):
                    yield match


def _can_be_sent(message: ChatMessage) -> bool:
    """Whether the platform would take the whole of it as a rewrite."""
    try:
        answer(Verdict.rewrite(msg_body=message.msg_body, custom_data=message.custom_data), message.command)
    except ValueError:
        return False
    return True


def _problem(word: str) -> str:
    if len(word) > MAX_WORD_CHARS:
        return f"has more than {MAX_WORD_CHARS} characters"
    return "" if fold(word).text.strip() else "holds nothing that can be seen"


def _stands_alone(text: str, folded: Folded, places: Sequence[int], start: int, end: int) -> bool:
    if start and _are_joined(text, folded, places, start):
        return False
    if end == len(places) or not _are_joined(text, folded, places, end):
        return True
    # Korean particles are written onto their word.
    whole = places[end - 1] != places[end]
    return whole and script(folded.text[end - 1]) == "HANGUL" == script(folded.text[end])


def _are_joined(text: str, folded: Folded, places: Sequence[int], at: int) -> bool:
    """True if the characters before and at this place of the folded text belong to one word."""
    before, after = folded.text[at - 1], folded.text[at]
    if category(after)[0] == "M":
        return True
    kind = _kind(text[places[at]], after)
    return kind != "" and kind == _kind(text[places[at - 1]], before)


@lru_cache(maxsize=4096)
def _kind(original: str, folded: str) -> str:
    """What a character builds words with: letters, symbols that are letters (🅰, 🇦, €), or, without spaces, nothing."""
    if category(folded)[0] not in "LNM" or script(folded) in SPACELESS:
        return ""
    return "symbol" if category(original)[0] == "S" else "letter"


def _look_like_capitals(text: str) -> bool:
    """True for capitals, and for a mixture of scripts, in which nobody writes. Small Russian letters are Russian."""
    return text.isupper() or len({script(character) for character in text if character.isalpha()}) > 1


def _starred(text: str, matches: Sequence[_Match]) -> str:
    stars = list(text)
    for _, start, end in matches:
        for place in range(start, _end_of_marks(text, end)):
            # A mark has nothing to stand on when it is folded alone.
            stars[place] = "*" if fold(text[place]).text else ""
    return "".join(stars)


def _end_of_marks(text: str, end: int) -> int:
    """Where the accents of the letter before this place end: they go with it."""
    while end < len(text) and category(text[end])[0] == "M":
        end += 1
    return end
