"""Which parts of a message blocked_words judges, and how much work that may take."""
# ruff: noqa: RUF001 - the look-alikes are what is tested

import json
from typing import Any, Literal

import pytest
from support.blocked_words import FORBID, MASK, element, message, said

from pushlane.callback import ChatMessage
from pushlane.callback.blocked_words.policy import BlockedWords, Work


@pytest.mark.parametrize(
    "given_message",
    [
        message(element("TIMTextElem", Text="hello"), element("TIMTextElem", Text="casino")),
        message(element("TIMCustomElem", Data='{"text":"casino"}')),
        message(element("TIMCustomElem", Data=json.dumps({"text": "c\u0430sino"}))),
        message(element("TIMCustomElem", Data=json.dumps(json.dumps({"text": "\ncásino\n"})))),
        message(element("TIMCustomElem", Desc="casino")),
        message(element("TIMCustomElem", Ext="casino")),
        message(element("TIMCustomElem", Sound="casino")),
        message(element("TIMLocationElem", Desc="casino", Latitude=1, Longitude=2)),
        message(element("TIMFaceElem", Index=1, Data="casino")),
        message(element("TIMFileElem", FileName="casino.pdf", Url="u")),
        message(element("TIMFileElem", fileName="casino.pdf", Url="u")),
        message(element("TIMRelayElem", Title="casino")),
        message(element("TIMRelayElem", CompatibleText="casino")),
        message(element("TIMRelayElem", AbstractList=["a: hi", "b: casino"])),
        message(element("TIMRelayElem", MsgList=[{"MsgBody": [element("TIMTextElem", Text="casino")]}])),
        message(element("TIMRelayElem", MsgList=[{"MsgBody": [], "CloudCustomData": "casino"}])),
        message(element("TIMStreamElem", CompatibleText="casino")),
        message(element("TIMStreamElem", Chunks=[{"Index": 1, "Markdown": "cas"}, {"Index": 2, "Markdown": "ino"}])),
        message(element("TIMNewElem", Any={"where": ["casino"]})),
        message({"MsgType": "TIMTextElem", "MsgContent": "casino"}),
        message(custom_data="casino"),
        message(custom_data=r'{"t":"\u0063asino"}'),
        message(element("TIMTextElem", Text="free"), element("TIMTextElem", Text="money")),
        message(element("TIMTextElem", Text="so free"), element("TIMFaceElem"), element("TIMTextElem", Text="money!")),
    ],
)
def test_every_part_of_a_message_is_judged(given_message: ChatMessage) -> None:
    """Each kind of element, custom data, and what was relayed."""
    verdict = FORBID.judge(given_message)
    assert verdict is not None
    assert verdict.kind == "forbid"


def test_addresses_and_identifiers_are_not_judged() -> None:
    """They are random, and nobody reads them."""
    assert FORBID.judge(message(element("TIMSoundElem", Url="https://x.example/casino", UUID="casino"))) is None


def test_what_is_nested_or_escaped_too_deep_is_forbidden() -> None:
    """What was not read may hold anything."""
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    for policy in (FORBID, MASK):
        for suspicious in (message(element("TIMNewElem", Any=deep)), said("\\" + "u005c" * 9)):
            verdict = policy.judge(suspicious)
            assert verdict is not None
            assert verdict.kind == "forbid"
            assert "deeper" in verdict.reason or "escaped" in verdict.reason


@pytest.mark.parametrize(
    "text", ["ha ", "x", "xxxx ", "сор ", "c\u200bop ", "the quick brown ", "привет ", "  ", "รัก", "赌"]
)
@pytest.mark.parametrize("action", ["forbid", "mask"])
def test_a_judgement_takes_work_by_the_length_of_the_text(text: str, action: Literal["forbid", "mask"]) -> None:
    """Occurrences that overlap are not looked at again and again, and what is masked is folded once."""
    policy = BlockedWords(["ha ha ha", "xxx", "cop", "赌博"], action=action)
    done = []
    for times in (500, 1000):
        work = Work(10**9)
        policy.examine(said(text * times), work)
        done.append(work.done)
    assert done[1] <= 2.1 * done[0]
    assert done[1] < 1000 * 200


@pytest.mark.parametrize("action", ["forbid", "mask"])
@pytest.mark.parametrize("text", ["x" * 200_000, "xxxx " * 40_000, "сор " * 60_000, "ﷺ" * 80_000])
def test_what_takes_too_much_work_is_forbidden(text: str, action: Literal["forbid", "mask"]) -> None:
    """While it is judged, no other question is: the deadline cannot end what runs on the event loop."""
    verdict = BlockedWords(["xxx", "cop"], action=action).judge(said(text))
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == ("forbid", "the message contains more than can be judged in time")


@pytest.mark.parametrize("text", ["xxxx " * 2450, "сор " * 1700, "the xx of " * 1200, "ภาษา " * 900])
def test_no_message_of_the_platforms_size_takes_too_much(text: str) -> None:
    """12 KB, of which a large part looks like blocked words."""
    assert BlockedWords(["xxx", "cop"]).judge(said(text)) is None


def test_it_runs_on_the_event_loop() -> None:
    """It is quick and touches nothing."""
    assert (BlockedWords.name, BlockedWords.inline) == ("blocked_words", True)
