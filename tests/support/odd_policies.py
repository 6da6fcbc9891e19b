"""Policies that raise, hang or answer nonsense, as the text of a module."""

from __future__ import annotations

POLICIES = """
import asyncio, threading, time
from pushlane.callback import Verdict

class Saying:
    name = "saying"
    def __init__(self, said): self._said = said
    async def judge(self, message):
        return self._said() if callable(self._said) else self._said

class InThread(Saying):
    def judge(self, message):
        return self._said() if callable(self._said) else self._said

class Odd(Verdict):
    def __init__(self): super().__init__("forbid")

def fail(error): raise error
def text(value): return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": value}}]

raises = Saying(lambda: fail(RuntimeError("no")))
raises_in_thread = InThread(lambda: fail(KeyError("no")))
exits_in_thread = InThread(lambda: fail(SystemExit(3)))
cancelled = Saying(lambda: fail(asyncio.CancelledError()))
times_out = Saying(lambda: fail(BaseException("gevent's Timeout is one")))
times_out_in_thread = InThread(lambda: fail(BaseException("the same")))
no_verdict = Saying("forbid")
true = Saying(True)
a_class = Saying(lambda: Verdict)
odd = Saying(Odd)
unknown_kind = Saying(Verdict("block"))
unhashable_kind = Saying(Verdict(["forbid"]))
no_elements = Saying(Verdict.rewrite(msg_body=[]))
seven = Saying(Verdict.rewrite(msg_body=7))
wrong_elements = Saying(Verdict.rewrite(msg_body=[{"MsgType": "TIMTextElem"}]))
no_json = Saying(Verdict.rewrite(msg_body=text(object())))
locked = Saying(Verdict.rewrite(msg_body=text(threading.Lock())))
surrogate = Saying(Verdict.rewrite(msg_body=text(chr(0xD800))))
nan = Saying(Verdict.rewrite(msg_body=text(float("nan"))))
custom_data = Saying(Verdict.rewrite(custom_data={"a": 1}))
a_number = Saying(Verdict.rewrite(msg_body=text(5)))
no_text = Saying(Verdict.rewrite(msg_body=[{"MsgType": "TIMTextElem", "MsgContent": {}}]))
huge = Saying(Verdict.rewrite(msg_body=text("x" * 3_000_000)))
huge_custom_data = Saying(Verdict.rewrite(custom_data="x" * 3_000_000))
many = Saying(Verdict.rewrite(msg_body=text("x") * 100_000))
in_thread = InThread(Verdict.rewrite(msg_body=[1]))
hangs = InThread(lambda: asyncio.sleep(60))
hangs_in_thread = InThread(lambda: time.sleep(5))
class Sleeps:
    name = "sleeps"
    async def judge(self, message): await asyncio.sleep(60)
sleeps = Sleeps()
class Naps:
    name = "naps"
    async def judge(self, message):
        await asyncio.sleep(0.4)
        return Verdict.forbid(reason=object())
naps = Naps()
forbids_oddly = Saying(Verdict.forbid(code=object(), text=object(), reason=object()))
forbids_long = Saying(Verdict.forbid(code=10**5000, text="x" * 10**6, reason="r" * 10**6))
discards_oddly = Saying(Verdict.discard(reason=b"bytes"))
class Quotes:
    name = "quotes"
    def judge(self, message): float(message.text)
quotes = Quotes()
def route(message): return {}[message.text]
def route_times_out(message): raise BaseException("no room")
def route_cancels(message): asyncio.current_task().cancel()
class CancelsAtOnce:
    name = "cancels_at_once"
    inline = True
    def judge(self, message): asyncio.current_task().cancel()
cancels_at_once = CancelsAtOnce()
class Counts:
    name = "counts"
    async def judge(self, message):
        with open("calls", "a") as calls: print(message.key, file=calls)
counts = Counts()
"""
