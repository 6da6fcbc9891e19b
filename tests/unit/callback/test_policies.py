"""The chain that the settings name, and what of it cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushlane.callback.blocked_words.policy import BlockedWords
from pushlane.callback.moderation.length import Length
from pushlane.callback.moderation.policies import make_policies
from pushlane.callback.moderation.user_code import is_inline, load_policy, load_routing
from pushlane.callback.settings import ModerationSettings
from pushlane.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import sys
from pushlane.callback import Verdict

class Fine:
    name = "fine"
    def judge(self, message): return Verdict.allow()
class Needs(Fine):
    def __init__(self, argument): pass
class Raises(Fine):
    def __init__(self): raise RuntimeError("no\\nmodel")
class Quick(Fine):
    inline = True
class Nameless:
    def judge(self, message): return None
class Empty(Fine):
    name = ""
class Number(Fine):
    name = 7
class NoJudge:
    name = "none"
class Judge:
    name = "judge"
    judge = 7
made = Fine()
def function(message): return None
async def asynchronous(message): return None
class Router:
    def route(self, message): return None
method = Router().route
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of an operator's, on the path."""
    (tmp_path / "theirs.py").write_text(MODULE)
    (tmp_path / "raising.py").write_text("raise RuntimeError('two\\nlines')")
    (tmp_path / "broken.py").write_text("def")
    (tmp_path / "leaving.py").write_text("raise SystemExit('bye')")
    monkeypatch.syspath_prepend(str(tmp_path))


def chain(*policies: object, **others: object) -> ModerationSettings:
    """Settings with this chain."""
    return ModerationSettings.model_validate({"sdk_app_ids": ["1"], "policies": list(policies), **others})


def words(folder: Path, content: str = "casino\n") -> Path:
    """A file of words."""
    path = folder / "words.txt"
    path.write_text(content)
    return path


def test_without_anything_there_is_no_policy() -> None:
    """Everything passes, and is recorded."""
    assert list(make_policies(chain())) == []


def test_words_alone_are_a_chain(tmp_path: Path) -> None:
    """The least that an operator sets."""
    (policy,) = make_policies(chain(blocked_words_file=words(tmp_path)))
    assert isinstance(policy, BlockedWords)


def test_the_chain_is_made_in_its_order(tmp_path: Path) -> None:
    """Built-in ones; those of one's own are the paths that their processes load."""
    long = {"policy": "length", "max_chars": 3}
    made = make_policies(chain(long, "theirs:Fine", "blocked_words", "theirs:made", blocked_words_file=words(tmp_path)))
    assert [one if isinstance(one, str) else type(one) for one in made] == [
        Length,
        "theirs:Fine",
        BlockedWords,
        "theirs:made",
    ]


@pytest.mark.parametrize("path", ["theirs:Fine", "theirs:made"])
def test_a_policy_of_ones_own_is_a_class_without_arguments_or_an_object(path: str) -> None:
    """It may say that it is quick and safe."""
    policy = load_policy(path)
    assert (policy.name, is_inline(policy)) == ("fine", False)
    assert is_inline(load_policy("theirs:Quick"))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("blockedwords", "'blockedwords' must be blocked_words, length, or a Python path like package.module:name"),
        ("theirs", "'theirs' must be blocked_words, length, or a Python path"),
        ("theirs:", "must be"),
        (":Fine", "must be"),
        ("nowhere.at_all:Fine", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("theirs:Absent", "cannot be imported: AttributeError"),
        ("theirs:Fine.judge", "cannot be imported: AttributeError"),
        (".theirs:Fine", "cannot be imported: TypeError"),
        ("raising:Fine", "cannot be imported: RuntimeError: two lines"),
        ("broken:Fine", "cannot be imported: SyntaxError"),
        ("leaving:Fine", "cannot be imported: SystemExit: bye"),
        ("theirs:Needs", "cannot be created: TypeError"),
        ("theirs:Raises", "cannot be created: RuntimeError: no model"),
        ("theirs:Nameless", "must have a name and a method judge"),
        ("theirs:Empty", "must have a name and a method judge"),
        ("theirs:Number", "must have a name and a method judge"),
        ("theirs:NoJudge", "must have a name and a method judge"),
        ("theirs:Judge", "must have a name and a method judge"),
        ("theirs:function", "must have a name and a method judge"),
    ],
)
def test_a_policy_that_can_not_be_used_is_named(path: str, problem: str) -> None:
    """The line has the path and what is wrong with it."""
    with pytest.raises(SettingsError) as caught:
        load_policy(path)
    assert str(caught.value).startswith("PUSHLANE_MODERATION__POLICIES: ")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "# nothing\n\n", "x" * 201])
def test_words_that_can_not_be_used_are_named(tmp_path: Path, content: str | None) -> None:
    """A file that is missing or holds no word would let everything pass."""
    path = tmp_path / "words.txt" if content is None else words(tmp_path, content)
    with pytest.raises(SettingsError, match=r"^PUSHLANE_MODERATION__BLOCKED_WORDS_FILE: .*words\.txt"):
        make_policies(chain("blocked_words", blocked_words_file=path))


@pytest.mark.parametrize("path", ["theirs:function", "theirs:method"])
def test_a_routing_is_a_function(path: str) -> None:
    """Or anything else that is called with a message."""
    assert callable(load_routing(path))


@pytest.mark.parametrize(
    "path", ["theirs", "theirs:made", "theirs:Fine", "theirs:asynchronous", "raising:f", "blocked_words"]
)
def test_a_routing_that_can_not_be_used_is_named(path: str) -> None:
    """A class, an async function and a module would fail at each message."""
    with pytest.raises(SettingsError, match=r"^PUSHLANE_MODERATION__ROUTING: .*" + path.partition(":")[0]):
        load_routing(path)
