"""What other people's code says in a process of its own arrives here."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
from support.policy_pool import asker, asking, in_s, running

from pushlane.callback.failures import Failure
from pushlane.callback.moderation.chain import BadRewrite, Elsewhere
from pushlane.callback.routing import Target
from pushlane.callback.tencent.answer import ALLOWED, MAX_STREAM_BYTES, answer
from pushlane.callback.tencent.question import C2C
from pushlane.callback.verdict import Verdict
from pushlane.errors import InvalidMessage

if TYPE_CHECKING:
    from pushlane.callback.chat_message import ChatMessage

BOTH = pytest.mark.parametrize("kind", ["Does", "DoesLater"])


@BOTH
async def test_what_a_policy_says_arrives_and_so_does_the_message(kind: str) -> None:
    """With all its parts; and one instance in its process is asked each time."""
    async with running(kind) as processes:
        ask = asker(processes)
        assert await ask("nothing") is None
        assert await ask("allows") == Verdict("allow", reason="fine", policy=_name(kind))
        assert await ask("forbids") == Verdict("forbid", 120_001, "no", reason="why", policy=_name(kind))
        assert await ask("discards") == Verdict("discard", reason="why", policy=_name(kind))
        body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "é\U0001f600"}}]
        assert await ask("rewrites") == Verdict("rewrite", msg_body=body, custom_data="", policy=_name(kind))
        (element,) = (await ask("echoes", "\ud800")).msg_body
        assert element["MsgContent"] == asking("echoes", "\ud800")._asdict()
        assert (await ask("awaitable")).kind == "forbid"
        assert (await ask("counts")).reason.endswith(" 8")


@BOTH
async def test_what_a_policy_raises_is_told_by_type_and_place(kind: str) -> None:
    """An exit and an interrupt among it; not what it says, and its process goes on."""
    async with running(kind) as processes:
        ask = asker(processes)
        first = (await ask("counts")).reason.split()[0]
        for text, error in [
            ("raises", "ValueError"),
            ("exits", "SystemExit"),
            ("interrupts", "KeyboardInterrupt"),
            ("cancels", "CancelledError"),
            ("nonsense", "TypeError"),
        ]:
            with pytest.raises(Failure) as caught:
                await ask(text, "canary")
            assert caught.value.kind == error
            assert text == "nonsense" or "own_code.py" in caught.value.frames
            assert "canary" not in f"{caught.value} {caught.value.frames}"
        assert (await ask("counts")).reason.split()[0] == first


@BOTH
async def test_a_rewrite_to_what_can_not_be_sent_is_none_that_a_chain_takes(kind: str) -> None:
    """Nor is one that is larger than any message, and its author is told so; what is forbidden stays so."""
    async with running(kind) as processes:
        ask = asker(processes)
        for text in ("no_json", "not_a_number", "endless"):
            with pytest.raises(BadRewrite, match="the rewrite is not JSON"):
                await ask(text)
        with pytest.raises(BadRewrite, match=r"^the rewrite has 300\d{3} bytes; a message has 12288 at most"):
            await ask("huge")
        assert await ask("odd") == Verdict("forbid", policy=_name(kind))


async def test_a_rewrite_to_the_longest_message_gets_through_in_any_script() -> None:
    """A stream may have 128 KiB; as ASCII, JSON has three times as many bytes for it."""
    async with running("Does") as processes:
        verdict = await asker(processes)("streams")
    assert len(answer(verdict, C2C)) - len(ALLOWED) > MAX_STREAM_BYTES - 100


async def test_many_wait_in_one_process() -> None:
    """Each goes on when the last of them has come."""
    async with running("DoesLater") as processes:
        ask = asker(processes)
        said = await asyncio.gather(*(ask("meets", "100") for _ in range(100)))
        assert {one.kind for one in said} == {"forbid"}


async def test_each_process_has_an_instance_of_its_own() -> None:
    """What a policy remembers, it remembers of what its process was asked."""
    async with running("Does", "DoesLater", size=2) as processes:
        plain, later = processes.chain(["own_code:Does", "own_code:DoesLater"])
        assert isinstance(plain, Elsewhere)
        assert isinstance(later, Elsewhere)
        assert (plain.name, later.name) == ("does", "does_later")
        waits = [asyncio.create_task(plain.ask(asking("nothing"), in_s(9))) for _ in range(9)]
        await asyncio.gather(*waits)
        said: Any = await later.ask(asking("counts"), in_s(9))
        assert said.reason.endswith(" 1")


async def test_what_says_that_it_is_quick_runs_here() -> None:
    """As the built-in ones do."""
    async with running("Quick") as processes:
        length = _Length()
        chain = processes.chain([length, "own_code:Quick"])
        assert chain[0] is length
        assert not isinstance(chain[1], Elsewhere)
        said: Any = chain[1].judge(asking("counts"))
        assert said.reason == f"{os.getpid()} 1"


class _Length:
    name = "length"

    def judge(self, message: ChatMessage) -> None:
        """Nothing."""


async def test_a_routing_runs_there_too() -> None:
    """Its route arrives checked; what it raises is known, and it hangs no longer than it may."""
    async with running(routing="own_code:route") as processes:
        assert await processes.route(asking("hello"), in_s(9)) == Target("support", {"room_id": "bob", "text": "hello"})
        assert await processes.route(asking("nowhere"), in_s(9)) is None
        with pytest.raises(InvalidMessage, match="room_id"):
            await processes.route(asking("hello", receiver=""), in_s(9))
        with pytest.raises(Failure, match="KeyError"):
            await processes.route(asking("raises"), in_s(9))
        with pytest.raises(TimeoutError):
            await processes.route(asking("hangs"), in_s(0.3))
        assert await processes.route(asking("nowhere"), in_s(9)) is None


def _name(kind: str) -> str:
    return {"Does": "does", "DoesLater": "does_later"}[kind]
