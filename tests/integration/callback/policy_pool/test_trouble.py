"""Other people's code hangs or ends its process: those beside it are answered, and the next one is, too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from support.policy_pool import asker, asking, running
from support.waiting import wait_until_async

from pushlane.callback.failures import Failure
from pushlane.callback.moderation.chain import Chain, Elsewhere, Late
from pushlane.callback.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("kind", "text"), [("Does", "burns"), ("DoesLater", "sleeps"), ("DoesLater", "sleeps_later")])
async def test_who_hangs_is_late_and_nobody_else_is(tmp_path: Path, kind: str, text: str) -> None:
    """Those before and behind it get their verdicts, and a new process takes the place of the one that hangs."""
    async with running(kind, size=2) as processes:
        ask = asker(processes)
        there = str(tmp_path / "there")
        others = [asyncio.create_task(ask("waits_for_file", there)) for _ in range(4)] if kind == "DoesLater" else []
        culprit = asyncio.create_task(ask(text, within_s=2.0))
        await asyncio.sleep(0)
        for _ in range(20):
            assert (await ask("forbids")).kind == "forbid"
        (tmp_path / "there").touch()
        assert [(await one).kind for one in others] == ["forbid"] * len(others)
        assert not culprit.done()
        with pytest.raises(Late):
            await culprit
        with pytest.raises(Late):
            await asyncio.gather(*(ask(text, within_s=0.5) for _ in range(2)))
        assert (await ask("forbids")).kind == "forbid"


async def test_who_waits_may_be_late_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    """Its verdict comes when it comes."""
    async with running("DoesLater") as processes:
        ask = asker(processes)
        late = asyncio.create_task(ask("waits_for_file", str(tmp_path / "there"), within_s=0.1))
        first = (await ask("counts")).reason.split()[0]
        await asyncio.sleep(0.7)
        assert (await ask("counts")).reason.split()[0] == first
        (tmp_path / "there").touch()
        assert (await late).reason == "late"


async def test_whom_nobody_waits_for_is_given_up(tmp_path: Path) -> None:
    """It may clean up."""
    async with running("DoesLater") as processes:
        ask = asker(processes)
        given_up = asyncio.create_task(ask("cleans_up", str(tmp_path / "cleaned")))
        await ask("nothing")
        given_up.cancel()
        await wait_until_async(lambda: asyncio.sleep(0.01, (tmp_path / "cleaned").exists()), "its end")


@pytest.mark.parametrize(("kind", "text"), [("Does", "ends"), ("DoesLater", "ends_later")])
async def test_a_process_that_ends_costs_its_own_question_alone(kind: str, text: str) -> None:
    """Those that waited in it are asked again, and the next ones are answered by another."""
    async with running(kind) as processes:
        ask = asker(processes)
        others = [asyncio.create_task(ask("waits_for_file", "/")) for _ in range(3)] if kind == "DoesLater" else []
        with pytest.raises(Failure, match="ProcessEnded"):
            await ask(text)
        assert [(await one).kind for one in others] == ["forbid"] * len(others)
        assert (await ask("forbids")).kind == "forbid"


async def test_a_process_that_ends_may_leave_children_behind() -> None:
    """They hold its end of the connection open, and another process takes its place all the same."""
    async with running("Does") as processes:
        ask = asker(processes)
        with pytest.raises(Failure, match="ProcessEnded"):
            await asyncio.wait_for(ask("forks"), 10)
        assert (await asyncio.wait_for(ask("forbids"), 10)).kind == "forbid"


async def test_what_a_process_writes_and_nobody_can_read_costs_that_process_alone() -> None:
    """Python 3.11 writes JSON nested deeper than it reads where more functions have called each other."""
    async with running("Does") as processes:
        ask = asker(processes)
        with contextlib.suppress(Failure):
            assert (await ask("deep")).kind == "rewrite"
        assert (await asyncio.wait_for(ask("forbids"), 10)).kind == "forbid"


async def test_a_task_of_a_policy_that_hangs_makes_no_answer_late() -> None:
    """Nobody knows whose task it is. Its question is asked again, once, and others are answered again soon."""
    async with running("DoesLater", size=2) as processes:
        policies = [one for one in processes.chain(["own_code:DoesLater"]) if isinstance(one, Elsewhere)]
        chain = Chain(policies, 0.6, Verdict("forbid"), lambda _message, _judgement: None)

        async def judged(text: str) -> str:
            return (await chain.judge(asking(text))).verdict.kind

        assert await judged("allows") == "allow"
        since = time.monotonic()
        assert await judged("hangs_apart") == "forbid"
        assert time.monotonic() - since < 2

        async def is_allowed() -> bool:
            return await judged("allows") == "allow"

        await wait_until_async(is_allowed, "processes in place of those that hang")


async def test_a_signal_to_all_stops_no_answer() -> None:
    """Supervisors send them to each process; those that ask are still answered."""
    async with running("Does") as processes:
        assert (await asker(processes)("is_stopped")).kind == "forbid"
