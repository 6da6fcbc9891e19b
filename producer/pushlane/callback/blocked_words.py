"""The policy ``blocked_words``: words and phrases that no message may hold, however they are disguised.

A word counts where it stands alone: no letter or digit beside it. Words of scripts without spaces count anywhere, and a
Hangul word also where particles follow it. ``casinos`` and ``casino777`` are other words than ``casino``: whoever
wants them adds them. What looks the same as a blocked word counts as it, unless it is a whole word of another script,
such as the Russian ``сор`` beside ``cop``: letters of several scripts in one word, or such as no language has together,
are a disguise. And a word of up to three letters counts with the accents alone that it has in the list: what differs
in them is a word of another language, such as the Vietnamese ``cúm``.

What is folded away is in :mod:`pushlane.callback.folding`, where it is looked for in :mod:`pushlane.callback.elements`.
"""  # noqa: RUF002 - the look-alikes are what it is about

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from unicodedata import category

from ahocorasick_rs import AhoCorasick

from pushlane.callback.answer import answer
from pushlane.callback.elements import TooDeep, readings, replaced, texts
from pushlane.callback.folding import SPACELESS, fold, foldings, is_seen, own, script, written
from pushlane.callback.languages import is_disguised
from pushlane.callback.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.elements import Place

MAX_WORD_CHARS: Final = 200
"""A longer line is no word or phrase: the file is probably another one."""


SHORT_LETTERS: Final = 3
"""Up to so many, accents tell words of languages apart more often than they disguise."""
MAX_WORK: Final = 300_000
"""What one judgement may look at, about 20 ms: a folded character counts 1, an occurrence ``OCCURRENCE``, one that
stands alone four times as much.

Messages have 12 KB, streams 128: all of them can be judged that do not repeat a word's letters thousands of times.
"""
OCCURRENCE: Final = 16
_PIECE_CHARS: Final = 4096


class TooMuch(ValueError):
    """The message takes more work than can be done while others wait: it must not pass as clean."""


class Work:
    """Counts what a judgement looks at. Raises TooMuch."""

    def __init__(self, most: int = MAX_WORK) -> None:
        self.done = 0
        self._most = most

    def add(self, amount: int) -> None:
        """Counts some more."""
        self.done += amount
        if self.done > self._most:
            raise TooMuch("the message holds more than can be judged in time")


class _Word(NamedTuple):
    """A blocked word.

    Attributes:
        own: Its letters in their own script.
        written: With their accents, for a short one in ASCII letters; else empty.
        is_disguised: Its own letters are no word: what looks like it is meant.
    """

    word: str
    own: str
    written: str
    is_disguised: bool


class _Match(NamedTuple):
    word: str
    start: int
    end: int


def load_words(path: Path) -> list[str]:
    """The words of a UTF-8 file: a word or phrase a line, lines that begin with ``#`` and blank ones ignored.

    Raises:
        ValueError: The file cannot be read, holds no word, or a line of it is none; its number is named.
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
    is found elsewhere (custom data, unknown elements, behind escapes, across the chunks of a stream) cannot be masked
    without breaking what a program reads: then the message is forbidden, as is one that is nested too deep to be read
    or takes too much work, and one that the platform takes from senders but not from us, such as with two custom
    elements.

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
        patterns: dict[str, list[_Word]] = {}
        for number, word in enumerate(words, 1):
            if problem := _problem(word):
                raise ValueError(f"blocked words, word {number}: {problem}")
            for pattern in {folded.text.strip() for folded in foldings(word)}:
                patterns.setdefault(pattern, []).append(_word(word))
        self._patterns = list(patterns.values())
        self._search = AhoCorasick(list(patterns))
        self._longest = max(map(len, patterns))
        self._masks = action == "mask"
        self._code = code
        self._text = text

    def judge(self, message: ChatMessage) -> Verdict | None:
        """Forbid or rewrite, or nothing to say."""
        return self.examine(message, Work())

    def examine(self, message: ChatMessage, work: Work) -> Verdict | None:
        """The same, counting what it takes."""
        try:
            reason = self._finding(message, work)
            if reason and self._masks and (masked := self._masked(message, work)):
                rewrite = Verdict.rewrite(msg_body=replaced(message.msg_body, masked), reason=reason)
                after = message.rewritten(rewrite)
                further = self._finding(after, work)  # what masking could not reach
                if not further and _can_be_sent(after):
                    return rewrite
                reason = further or f"{reason}; masked, it could not be sent"
        except (TooDeep, TooMuch) as error:
            reason = str(error)
        return Verdict.forbid(code=self._code, text=self._text, reason=reason) if reason else None

    def _finding(self, message: ChatMessage, work: Work) -> str:
        """The first blocked word found, for the record; nothing when there is none."""
        for text in texts(message):
            for reading in readings(text.value):
                for match in self._matches(reading, work):
                    return f'the blocked word "{match.word}" in {text.where}'
        return ""

    def _masked(self, message: ChatMessage, work: Work) -> dict[Place, str]:
        masked = {}
        for text in texts(message):
            if text.displayed and (matches := list(self._matches(text.value, work))):
                masked[text.place] = _starred(text.value, matches)
        return masked

    def _matches(self, text: str, work: Work) -> Iterator[_Match]:
        for folded in foldings(text):
            work.add(max(len(text), len(folded.text)))
            for words, start, end in self._occurrences(folded.text):
                places = folded.places(end + 1)
                work.add(OCCURRENCE)
                if _stands_alone(text, folded.text, places, start, end):
                    match = _Match("", places[start], _end_of_marks(text, places[end - 1] + 1))
                    work.add(4 * OCCURRENCE + match.end - match.start)
                    if word := _meant(text[match.start : match.end], words):
                        yield match._replace(word=word)

    def _occurrences(self, text: str) -> Iterator[tuple[Sequence[_Word], int, int]]:
        """Overlapping ones, or a longer word that does not stand alone would hide one within it that does.

        Piece by piece: of what has one at each of its characters, all together would take 100 bytes a character.
        """
        for at in range(0, len(text), _PIECE_CHARS):
            start = max(at - self._longest + 1, 0)
            piece = text[start : at + _PIECE_CHARS]
            for pattern, first, end in self._search.find_matches_as_indexes(piece, overlapping=True):
                if start + end > at:
                    yield self._patterns[pattern], start + first, start + end


def _word(word: str) -> _Word:
    said = own(word).strip()
    short = len(said) <= SHORT_LETTERS and said.isascii()
    return _Word(word, said, written(word).strip() if short else "", is_disguised(said))


def _meant(text: str, words: Sequence[_Word]) -> str:
    """Which of the words that this text looks like it is; empty if it is a word of another language."""
    said = own(text)
    if is_disguised(said):
        return words[0].word
    for word in words:
        if word.is_disguised or (said == word.own and (not word.written or word.written == written(text))):
            return word.word
    return ""


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


def _stands_alone(text: str, folded: str, places: Sequence[int], start: int, end: int) -> bool:
    if start and _are_joined(text, folded, places, start):
        return False
    if end == len(folded) or not _are_joined(text, folded, places, end):
        return True
    # Korean particles are written onto their word.
    whole = places[end - 1] != places[end]
    return whole and script(folded[end - 1]) == "HANGUL" == script(folded[end])


def _are_joined(text: str, folded: str, places: Sequence[int], at: int) -> bool:
    """True if the characters before and at this place of the folded text belong to one word."""
    return _join(text[places[at - 1]], folded[at - 1], text[places[at]], folded[at])


@lru_cache(maxsize=4096)
def _join(before: str, folded_before: str, after: str, folded_after: str) -> bool:
    if category(folded_after)[0] == "M":
        return True
    kind = _kind(after, folded_after)
    return kind != "" and kind == _kind(before, folded_before)


def _kind(original: str, folded: str) -> str:
    """What a character builds words with: letters, symbols that are letters (🅰, 🇦, €), or, without spaces, nothing."""
    if category(folded)[0] not in "LNM" or script(folded) in SPACELESS:
        return ""
    return "symbol" if category(original)[0] == "S" else "letter"


def _starred(text: str, matches: Sequence[_Match]) -> str:
    hidden = bytearray(len(text))
    for _, start, end in matches:
        hidden[start:end] = b"\1" * (end - start)
    pairs = zip(text, hidden, strict=True)
    return "".join(character if not hides else "*" if is_seen(character) else "" for character, hides in pairs)


def _end_of_marks(text: str, end: int) -> int:
    """Where the accents of the letter before this place end: they go with it."""
    while end < len(text) and category(text[end])[0] == "M":
        end += 1
    return end
