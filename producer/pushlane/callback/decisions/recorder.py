"""Records decisions in Redis, many per script call: otherwise a busy callback would spend its time on round trips."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic_core import to_json

from pushlane.callback.decisions.decision import as_fields
from pushlane.callback.failures import log_failure
from pushlane.callback.verdict import Verdict
from pushlane.keys import DECISIONS_PREFIX
from pushlane.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio

    from pushlane.callback.decisions.decision import Decision

RECORD_S: Final = 0.25
"""How long an answer waits for Redis before its decision goes to disk."""
AT_ONCE: Final = 100

_RECORD: Final = Script("record_decisions")

_Arguments = tuple[str | bytes | int, ...]


class _Waiting(NamedTuple):
    arguments: _Arguments
    since: float
    done: asyncio.Future[Verdict | None]


class Recorder:
    """Belongs to one event loop. While a call is in progress, new decisions are collected for the next one."""

    def __init__(self, client: redis.asyncio.Redis, retention_s: float) -> None:
        self._redis = client
        self._kept_ms = round(retention_s * 1000)
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None

    def record(self, decision: Decision) -> asyncio.Future[Verdict | None]:
        """Records it; the result is the verdict that its key already has, or None.

        Raises, here or when it is awaited:
            TimeoutError, redis.RedisError, OSError: Redis did not answer in time; it may have been recorded.
            TypeError, ValueError: It cannot be serialised, and is not recorded.
        """
        arguments = _arguments(decision)  # here, so that a decision that cannot be serialised spoils no batch
        done: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(arguments, time.monotonic(), done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return done

    async def record_all(self, decisions: Sequence[Decision], *, within_s: float = RECORD_S) -> list[Verdict | None]:
        """Records these with one call. Raises like ``record``."""
        return await self._record([_arguments(decision) for decision in decisions], within_s)

    async def aclose(self) -> None:
        """Gives up on the call in progress."""
        if (flushing := self._flushing) is not None:
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing

    async def _flush(self) -> None:
        batch: list[_Waiting] = []
        problem: BaseException | None = None
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                # Callers that have given up by now have put their decision elsewhere.
                batch = [one for one in batch if not one.done.done()]
                if batch:
                    left_s = batch[0].since + RECORD_S - time.monotonic()
                    answers = await self._record([one.arguments for one in batch], left_s)
                    for one, answer in zip(batch, answers, strict=True):
                        if not one.done.done():
                            one.done.set_result(answer)
        except BaseException as error:
            problem = error
            if not isinstance(error, Exception):
                problem = TimeoutError("closed")
                raise
        finally:
            # Also those behind this batch: Redis would take as long for them.
            waiting, self._waiting, self._flushing = [*batch, *self._waiting], [], None
            for one in waiting:
                if problem is not None and not one.done.done():
                    one.done.set_exception(problem)

    async def _record(self, decisions: Sequence[_Arguments], within_s: float) -> list[Verdict | None]:
        arguments: list[str | bytes | int] = ["", self._kept_ms]
        for decision in decisions:
            arguments += decision
        async with asyncio.timeout(within_s):
            answers = await _RECORD.call_async(self._redis, DECISIONS_PREFIX, *arguments)
        return [_read(answer) if answer else None for answer in answers]


def _arguments(decision: Decision) -> _Arguments:
    return (
        decision.key,
        decision.message_key,
        to_json(as_fields(decision.verdict)),  # a repeated request is answered from it
        to_json(decision.effects) if decision.effects else "",
        "late" if decision.late else decision.verdict.kind,
        decision.entry(),
        "" if decision.late else f"{decision.verdict.kind} {decision.verdict.policy}",
        decision.took_ms,
    )


def _read(answer: bytes) -> Verdict | None:
    try:
        return Verdict(**json.loads(answer))
    except (ValueError, TypeError) as error:  # another version wrote it; the new decision is as good
        log_failure("answer.unreadable", error)
        return None
