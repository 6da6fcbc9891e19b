"""Processes for other people's code: whatever it does, those beside it are answered, and the next one is, too."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.waiting import wait_until, wait_until_async

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.failures import Failure
from pushlane.callback.moderation.chain import BadRewrite, Chain, Elsewhere, Late
from pushlane.callback.moderation.policy_pool import PolicyPool
from pushlane.callback.moderation.policy_process import PolicyProcess
from pushlane.callback.routing import Target
from pushlane.callback.tencent.answer import ALLOWED, MAX_STREAM_BYTES, answer
from pushlane.callback.tencent.question import C2C
from pushlane.callback.verdict import Verdict
from pushlane.errors import InvalidMessage, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IN_TIME_S = 30.0
MODULE = """
import asyncio, os, re, signal, threading, time
from pushlane import RoomMessage
from pushlane.callback import Verdict
from pushlane.callback.routing import Route

def said(text): return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
def fail(error): raise error

class Does:
    name = "does"
    def __init__(self): self.asked = 0
    def judge(self, message):
        self.asked += 1
        return globals()[message.text](message, self)

class DoesLater(Does):
    name = "does_later"
    async def judge(self, message):
        said = super().judge(message)
        return await said if asyncio.iscoroutine(said) else said

class Quick(Does):
    name = "quick"
    inline = True

def nothing(message, own): return None
def allows(message, own): return Verdict.allow(reason="fine")
def forbids(message, own): return Verdict.forbid(code=120_001, text="no", reason="why")
def discards(message, own): return Verdict.discard(reason="why")
def rewrites(message, own): return Verdict.rewrite(msg_body=said("é\\U0001f600"), custom_data="")
def echoes(message, own): return Verdict.rewrite(msg_body=[{"MsgType": "x", "MsgContent": message._asdict()}])
def counts(message, own): return Verdict.allow(reason=f"{os.getpid()} {own.asked}")
def awaitable(message, own):
    async def later(): return Verdict.forbid()
    return later()

def raises(message, own): float(message.custom_data)
def exits(message, own): fail(SystemExit(3))
def interrupts(message, own): fail(KeyboardInterrupt())
def cancels(message, own): fail(asyncio.CancelledError())
def nonsense(message, own): return "forbid"
def odd(message, own): return Verdict("forbid", code=object(), text=b"x", reason=object())
def no_json(message, own): return Verdict.rewrite(msg_body=said(object()))
def not_a_number(message, own): return Verdict.rewrite(msg_body=said(float("nan")))
def endless(message, own):
    body = []
    body.append({"MsgType": "x", "MsgContent": {"a": body}})
    return Verdict.rewrite(msg_body=body)
def deep(message, own):
    body = []
    for _ in range(950): body = [body]
    return Verdict.rewrite(msg_body=[{"MsgType": "x", "MsgContent": {"a": body}}])
def huge(message, own): return Verdict.rewrite(msg_body=said("x" * 300_000))
def streams(message, own):
    content = {"CompatibleText": "", "Chunks": [{"Index": 1, "Markdown": "я" * 65_450}]}
    return Verdict.rewrite(msg_body=[{"MsgType": "TIMStreamElem", "MsgContent": content}])

def burns(message, own): re.match(r"(a+)+$", "a" * 40 + "b")
def sleeps(message, own): time.sleep(60)
async def sleeps_later(message, own):
    await asyncio.sleep(0)
    time.sleep(60)
def ends(message, own): os._exit(3)
async def ends_later(message, own):
    await asyncio.sleep(0)
    os._exit(3)
def forks(message, own):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os._exit(3)
async def hangs_apart(message, own):
    async def hangs():
        await asyncio.sleep(0.05)
        time.sleep(60)
    await asyncio.gather(hangs())
def is_stopped(message, own):
    for number in (signal.SIGTERM, signal.SIGINT): os.kill(os.getpid(), number)
    return Verdict.forbid()

waiting, enough = 0, asyncio.Event()
async def meets(message, own):
    global waiting
    waiting += 1
    if waiting == int(message.custom_data): enough.set()
    await enough.wait()
    return Verdict.forbid()
async def waits_for_file(message, own):
    while not os.path.exists(message.custom_data): await asyncio.sleep(0.01)
    return Verdict.forbid(reason="late")
async def cleans_up(message, own):
    try: await asyncio.Event().wait()
    finally: open(message.custom_data, "w").close()

def route(message):
    match message.text:
        case "nowhere": return None
        case "hangs": time.sleep(60)
        case "raises": {}[message.text]
    return Route("support", RoomMessage(message.receiver, message.text))
"""


def asking(text: str, custom_data: str = "", receiver: str = "bob") -> ChatMessage:
    """A message that says what its policy does."""
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
    return ChatMessage(
        "C2C.CallbackBeforeSendMsg",
        "1",
        "alice",
        receiver,
        "k",
        body,
        custom_data,
        online_only=False,
        fields={"n": 10**30},
    )


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of an operator's, on the path."""
    (tmp_path / "own_code.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "leaves.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def running(*names: str, size: int = 1, routing: str | None = None) -> PolicyPool:
    """A pool for these policies of the module."""
    return PolicyPool([f"own_code:{name}" for name in names], routing, size)


def in_s(seconds: float) -> float:
    """A time on the monotonic clock."""
    return time.monotonic() + seconds


def asker(processes: PolicyPool, *names: str) -> Callable[..., Any]:
    """Asks the one policy of a message; in plenty of time unless told otherwise."""
    (policy,) = processes.chain(list(names or ["own_code:Does"]))
    assert isinstance(policy, Elsewhere)

    async def ask(text: str, custom_data: str = "", *, within_s: float = IN_TIME_S) -> object:
        return await policy.ask(asking(text, custom_data), in_s(within_s))

    return ask


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


async def test_many_wait_in_one_process() -> None:
    """Each goes on when the last of them has come."""
    async with running("DoesLater") as processes:
        ask = asker(processes)
        said = await asyncio.gather(*(ask("meets", "100") for _ in range(100)))
        assert {one.kind for one in said} == {"forbid"}


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


@pytest.mark.parametrize(
    ("policies", "routing", "problem"),
    [
        (["own_code:Does", "own_code:Nobody"], None, "POLICIES: own_code:Nobody cannot be imported: AttributeError"),
        (["own_code:nothing"], None, "POLICIES: own_code:nothing must have a name"),
        ([], "own_code:Does", "ROUTING: own_code:Does must be a function"),
        (["leaves:Policy"], None, "POLICIES: the process that loads them has ended"),
    ],
)
async def test_what_can_not_be_loaded_ends_the_start(policies: list[str], routing: str | None, problem: str) -> None:
    """With the setting's name, and no process left behind."""
    with pytest.raises(SettingsError, match=problem):
        async with PolicyPool(policies, routing, 2):
            pass
    assert _children(os.getpid()) == []


async def test_without_code_of_ones_own_there_is_no_process() -> None:
    """Most need none."""
    async with PolicyPool([], None, 4):
        assert _children(os.getpid()) == []


@pytest.mark.parametrize("steps", range(12))
async def test_a_start_that_is_cancelled_leaves_no_process(steps: int) -> None:
    """Wherever it was: a callback that ends, or a process that cannot be loaded, cancels the other starts."""
    starting = asyncio.create_task(PolicyProcess.start())
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await starting).aclose()
    assert not _children(os.getpid())


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


@pytest.mark.parametrize("text", ["nothing", "burns", "sleeps"])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, text: str) -> None:
    """Also in the middle of a loop without end, when that one is killed."""
    script = tmp_path / "starts.py"
    script.write_text(STARTS, encoding="utf-8")
    path = [str(tmp_path), str(Path(__file__).parent), *sys.path]
    words = [sys.executable, str(script), json.dumps(path), text]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"asked\n"
        children = _children(parent.pid)
        assert len(children) == 2
        parent.kill()
    wait_until(lambda: not any(map(_runs, children)), "them to end")


STARTS = """
import asyncio, json, sys, time
sys.path[:] = json.loads(sys.argv[1])
from test_policy_pool import asking
from pushlane.callback.moderation.policy_pool import PolicyPool
from pushlane.callback.moderation.policy_process import PolicyProcess

async def main():
    async with PolicyPool(["own_code:Does"], None, 2) as processes:
        (policy,) = processes.chain([""])
        asked = [asyncio.create_task(policy.ask(asking(sys.argv[2]), time.monotonic() + 60)) for _ in range(2)]
        await asyncio.wait(asked, timeout=0.2)
        print("asked", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _children(pid: int) -> Sequence[int]:
    """The processes that run our program for this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"policy_program" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            continue
    return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, signal.Signals(0))
    except (ProcessLookupError, ValueError):
        return False
    return True


def _name(kind: str) -> str:
    return {"Does": "does", "DoesLater": "does_later"}[kind]
