"""The policy length."""

from typing import Any

import pytest

from pushlane.callback import ChatMessage, Verdict
from pushlane.callback.moderation.length import Length


def message(*contents: object) -> ChatMessage:
    """A message of text elements with these contents."""
    body: list[dict[str, Any]] = [{"MsgType": "TIMTextElem", "MsgContent": content} for content in contents]
    return ChatMessage("C2C.CallbackBeforeSendMsg", "1", "a", "b", "k", body, "x" * 100, online_only=False, fields={})


@pytest.mark.parametrize(
    "contents",
    [[{"Text": "x" * 10}], [{"Text": "x" * 4}, {"Text": "x" * 5}], [{"Text": "😀" * 10}], [], [None, {"Text": 7}]],
)
def test_a_text_of_at_most_the_limit_passes(contents: list[object]) -> None:
    """Code points count, the newline between elements is one, and custom data does not count."""
    assert Length(10).judge(message(*contents)) is None


@pytest.mark.parametrize("contents", [[{"Text": "x" * 11}], [{"Text": "x" * 5}, {"Text": "x" * 5}]])
def test_a_longer_text_is_forbidden_with_code_and_text(contents: list[object]) -> None:
    """The reason says how long it was, and nothing of what it said."""
    verdict = Length(10, code=120001, text="too long").judge(message(*contents))
    assert verdict == Verdict.forbid(code=120001, text="too long", reason="11 characters, 10 are allowed")


def test_it_runs_on_the_event_loop() -> None:
    """It is quick and touches nothing."""
    assert (Length.name, Length.inline) == ("length", True)
