"""The policy ``blocked_words``: words and phrases that no message may contain, however they are disguised.

A word counts where it stands alone, with no letter or digit next to it. Words in scripts without spaces count anywhere,
and a Hangul word also counts with particles after it. ``casinos`` and ``casino777`` are different words from ``casino``
and need their own entries. Text that looks like a blocked word counts as that word, unless it is a whole word in
another script, such as the Russian ``сор`` for ``cop``; but letters of several scripts in one word, or letters that no
language combines, are a disguise. A word of up to three letters only counts with the accents that it has in the list:
with other accents it is a word of another language, such as the Vietnamese ``cúm``.

For what is folded away, see :mod:`pushlane.callback.blocked_words.folding`; for where words are searched for, see
:mod:`pushlane.callback.tencent.elements`.
"""  # noqa: RUF002 - look-alikes are the subject

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from unicodedata import category

from ahocorasick_rs import AhoCorasick

from pushlane.callback.blocked_words.folding import SPACELESS, fold, foldings, is_seen, own, script, written
from pushlane.callback.blocked_words.languages import is_disguised
from pushlane.callback.tencent.answer import answer
from pushlane.callback.tencent.elements import TooDeep, readings, replaced, texts
from pushlane.callback.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pushlane.callback.chat_message import ChatMessage
    from pushlane.callback.tencent.elements import ElementPath

MAX_WORD_CHARS: Final = 200
"""A longer line is not a word or phrase: it is probably the wrong file."""
SHORT_LETTERS: Final = 3
"""Up to this many letters, accents distinguish words of languages more often than they disguise one."""
MAX_WORK: Final = 300_000
"""How much work one judgement may take, about 20 ms: a folded character counts 1, an occurrence ``OCCURRENCE``, one
that stands alone four times as much.

Messages have 12 KB, streams 128: all that do not repeat a word's letters thousands of times can be judged.
"""
OCCURRENCE: Final = 16
_PIECE_CHARS: Final = 4096


class TooMuch(ValueError):
    """The message takes more work than there is time for while others wait: it must not pass as clean."""


class Work:
    """Counts the work of a judgement. Raises TooMuch."""

    def __init__(self, most: int = MAX_WORK) -> None:
        self.done = 0
        self._most = most

    def add(self, amount: int) -> None:
        """Adds to the count."""
        self.done += amount
        if self.done > self._most:
            raise TooMuch("the message contains more than can be judged in time")


class _Word(NamedTuple):
    """A blocked word.

    Attributes:
        own: Its letters in their own script.
        written: The letters with their accents, for a short word in ASCII letters; otherwise empty.
        is_disguised: The word itself is a disguise: any text that looks like it counts.
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
    """The words in a UTF-8 file: one word or phrase per line; blank lines and those that begin with ``#`` are ignored.

    Raises:
        ValueError: The file cannot be read or contains no word, or a line is invalid; the message gives its number.
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
        raise ValueError(f"{path}: contains no word")
    return words


class BlockedWords:
    """Forbids a message that contains a blocked word, or masks the word with asterisks.

    Words are masked in what clients show as it is: text, titles, file names and the like, also in relayed messages. A
    word that is found elsewhere (custom data, unknown elements, behind escapes, across the chunks of a stream) cannot
    be masked without breaking what a program reads: then the message is forbidden. So is one that is nested too deeply
    to be read or takes too much work, and one that the platform accepts from senders but not from us, such as one with
    two custom elements.

    Building it takes a few tenths of a second. With 10,000 words, judging takes a few hundredths of a millisecond for
    an ordinary message, and for 5,000 characters 0.3 ms in ASCII and up to 3 ms in other scripts.

    Raises:
        ValueError: There is no word, or folding leaves nothing of one; the message gives its number, counted from 1.
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
        """Forbid, rewrite or None."""
        return self.examine(message, Work())

    def examine(self, message: ChatMessage, work: Work) -> Verdict | None:
        """Like ``judge``, but counts the work."""
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
        """The first blocked word found, for the record; empty if there is none."""
        for text in texts(message):
            for reading in readings(text.value):
                for match in self._matches(reading, work):
                    return f'the blocked word "{match.word}" in {text.where}'
        return ""

    def _masked(self, message: ChatMessage, work: Work) -> dict[ElementPath, str]:
        masked = {}
        for text in texts(message):
            if text.displayed and (matches := list(self._matches(text.value, work))):
                masked[text.path] = _starred(text.value, matches)
        return masked

    def _matches(self, text: str, work: Work) -> Iterator[_Match]:
        for folded in foldings(text):
            work.add(max(len(text), len(folded.text)))
            for words, start, end in self._occurrences(folded.text):
                positions = folded.positions(end + 1)
                work.add(OCCURRENCE)
                if _stands_alone(text, folded.text, positions, start, end):
                    match = _Match("", positions[start], _end_of_marks(text, positions[end - 1] + 1))
                    work.add(4 * OCCURRENCE + match.end - match.start)
                    if word := _meant(text[match.start : match.end], words):
                        yield match._replace(word=word)

    def _occurrences(self, text: str) -> Iterator[tuple[Sequence[_Word], int, int]]:
        """The occurrences, also overlapping ones: a longer word that does not stand alone may contain one that does.

        Searched piece by piece: with an occurrence at each character, all at once would take 100 bytes per character.
        """
        for at in range(0, len(text), _PIECE_CHARS):
            start = max(at - self._longest + 1, 0)
            piece = text[start : at + _PIECE_CHARS]
            for pattern, first, end in self._search.find_matches_as_indexes(piece, overlapping=True):
                if start + end > at:
                    yield self._patterns[pattern], start + first, start + end


def _word(word: str) -> _Word:
    letters = own(word).strip()
    short = len(letters) <= SHORT_LETTERS and letters.isascii()
    return _Word(word, letters, written(word).strip() if short else "", is_disguised(letters))


def _meant(text: str, words: Sequence[_Word]) -> str:
    """Which of the words that look like this text it is; empty if it is a word of another language."""
    letters = own(text)
    if is_disguised(letters):
        return words[0].word
    for word in words:
        if word.is_disguised or (letters == word.own and (not word.written or word.written == written(text))):
            return word.word
    return ""


def _can_be_sent(message: ChatMessage) -> bool:
    """Whether the platform would accept the whole message as a rewrite."""
    try:
        answer(Verdict.rewrite(msg_body=message.msg_body, custom_data=message.custom_data), message.command)
    except ValueError:
        return False
    return True


def _problem(word: str) -> str:
    if len(word) > MAX_WORD_CHARS:
        return f"has more than {MAX_WORD_CHARS} characters"
    return "" if fold(word).text.strip() else "contains nothing visible"


def _stands_alone(text: str, folded: str, positions: Sequence[int], start: int, end: int) -> bool:
    if start and _are_joined(text, folded, positions, start):
        return False
    if end == len(folded) or not _are_joined(text, folded, positions, end):
        return True
    # Korean particles are attached to their word.
    whole = positions[end - 1] != positions[end]
    return whole and script(folded[end - 1]) == "HANGUL" == script(folded[end])


def _are_joined(text: str, folded: str, positions: Sequence[int], at: int) -> bool:
    """Whether the characters before and at this position of the folded text belong to one word."""
    return _join(text[positions[at - 1]], folded[at - 1], text[positions[at]], folded[at])


@lru_cache(maxsize=4096)
def _join(before: str, folded_before: str, after: str, folded_after: str) -> bool:
    if category(folded_after)[0] == "M":
        return True
    kind = _kind(after, folded_after)
    return kind != "" and kind == _kind(before, folded_before)


def _kind(original: str, folded: str) -> str:
    """Which characters it forms words with: letters, symbols that are letters (🅰, 🇦, €); none in spaceless scripts."""
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
    """Where the accents of the letter before this position end: they belong to it."""
    while end < len(text) and category(text[end])[0] == "M":
        end += 1
    return end
