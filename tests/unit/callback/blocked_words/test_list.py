"""The list of blocked words: what it may hold, and a file that is wrong."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

from pathlib import Path

import pytest
from support.blocked_words import catches

from pushlane.callback.blocked_words.policy import BlockedWords, load_words


def test_one_word_in_several_forms_is_one_word() -> None:
    """And one that needs a second look does not replace one that does not."""
    assert catches(BlockedWords(["нет", "het"]), "het")
    assert catches(BlockedWords(["het", "нет"]), "het")


@pytest.mark.parametrize(
    "word", ["C\u00c1sino", " casino ", "ｃａｓｉｎｏ", "c\u0430sino", "cas\u200bino", "\u2800casino"]
)
def test_the_list_may_hold_disguised_words(word: str) -> None:
    """Operators copy words from messages."""
    assert catches(BlockedWords([word]), "a casino")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "there is none"),
        (["a", "\u200b\u0301"], "word 2: contains nothing"),
        (["x" * 201], "word 1: has more than 200"),
    ],
)
def test_a_list_that_can_not_work_is_refused(words: list[str], complaint: str) -> None:
    """At start, and the word is named by its number."""
    with pytest.raises(ValueError, match=complaint):
        BlockedWords(words)


def test_words_are_loaded_from_a_file(tmp_path: Path) -> None:
    """A byte order mark, comments, blank lines, either line end; a phrase is a line."""
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffcasino\r\n\n  # a comment\n  free money \n赌博".encode())
    assert load_words(path) == ["casino", "free money", "赌博"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"casino\n\xff\xfe", "line 2: is not UTF-8"),
        (b"# nothing\n\n", "contains no word"),
        (b"", "contains no word"),
        ("a\n\u200b\n".encode(), "line 2: contains nothing visible"),
        (b"a\n\n" + b"x" * 201, "line 3: has more than 200 characters"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    """In words that whoever wrote the file understands."""
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"words\.txt.*" + complaint):
        load_words(path)
