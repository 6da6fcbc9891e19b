"""Pools of processes for policies of a module whose messages say what they do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushlane.callback.chat_message import ChatMessage
from pushlane.callback.moderation.chain import Elsewhere
from pushlane.callback.moderation.policy_pool import PolicyPool

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


def children(pid: int) -> Sequence[int]:
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
