"""Records decisions in Redis, many with one script call: a busy callback would spend its time on round trips."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from pushlane.callback.decision import answer_document, read_answer
from pushlane.keys import DECISIONS_PREFIX
from pushlane.scripts import source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis.asyncio

    from pushlane.callback.decision import Decision
    from pushlane.callback.verdict import Verdict

RECORD_S: Final = 0.25
"""How long an answer waits for Redis before its decision goes to disk."""
AT_ONCE: Final = 100


class Recorder:
    """Belongs to one event loop. While a call is on its way, what comes meanwhile gathers for the next one."""

    def __init__(self, client: redis.asyncio.Redis, retention_s: float) -> None:
        self._script = client.register_script(source("decision"))
        self._kept_ms = round(retention_s * 1000)
        self._waiting: list[tuple[Decision, asyncio.Future[Verdict | None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def record(self, decision: Decision) -> Verdict | None:
        """Records it; the verdict that its key has already, if it has one.

        Raises:
            TimeoutError, redis.RedisError, OSError: Redis did not answer in time; perhaps it is recorded.
        """
        done: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((decision, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        async with asyncio.timeout(RECORD_S):
            return await done

    async def record_all(self, decisions: Sequence[Decision]) -> list[Verdict | None]:
        """Records these with one call. Raises as ``record``."""
        arguments: list[str | bytes | int] = ["", self._kept_ms]
        for decision in decisions:
            arguments += (
                decision.key,
                decision.message_key,
                answer_document(decision.verdict),
                json.dumps(decision.effects) if decision.effects else "",
                "late" if decision.late else decision.verdict.kind,
                decision.entry(),
            )
        async with asyncio.timeout(RECORD_S):
            answers = await self._script(keys=[DECISIONS_PREFIX], args=arguments)
        return [read_answer(answer) if answer else None for answer in answers]

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                await self._record(batch)
        finally:
            self._flushing = None

    async def _record(self, batch: Sequence[tuple[Decision, asyncio.Future[Verdict | None]]]) -> None:
        answers: Sequence[Verdict | BaseException | None]
        try:
            answers = await self.record_all([decision for decision, _ in batch])
        except Exception as error:  # noqa: BLE001 # whoever waits meets it
            answers = [error] * len(batch)
        for (_, done), answer in zip(batch, answers, strict=True):
            if done.done():
                continue
            if isinstance(answer, BaseException):
                done.set_exception(answer)
            else:
                done.set_result(answer)
