"""One push, from a claim to its result, and the long-lived coroutines that run pushes.

They are long-lived because a new asyncio task per push costs a quarter of the throughput (measured: 29,000 messages per
second, against 38,000 to 44,000 with coroutines that are fed from a queue).
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pushlane import tracing
from pushlane.message_record import read_body, read_content
from pushlane.outcome import Outcome
from pushlane.tracing import Span
from pushlane_worker.channels.channel import Channel
from pushlane_worker.channels.http import PushClient
from pushlane_worker.errors import PushNotSent, PushUnanswered
from pushlane_worker.queue.outcome import PushResult
from pushlane_worker.queue.retry import History, next_step
from pushlane_worker.queue.turns import Claim, Settlement
from pushlane_worker.telemetry import logger

FRESH_S = 0.05
"""How long a turn's gate state stays valid. When a push ends, the next turn follows within a few ms."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claim on its way to a pusher, with the callback for when it is done."""

    claim: Claim
    done: Callable[[Settlement], None]


@dataclass(slots=True, eq=False)
class Pushers:
    """The long-lived push coroutines of one channel in one process.

    Jobs wait while all coroutines are busy, and the gate may close meanwhile. So a job that has waited is pushed only
    if a turn has just seen the gate open and no push has failed since.

    A claim whose lease would expire before ``deadline_s``, the client's deadline, is given back unsent. ``count`` is
    the number of coroutines, and so the channel's maximum of pushes in flight.
    """

    channel: Channel
    client: PushClient
    deadline_s: float
    count: int
    _jobs: asyncio.Queue[Job] = field(default_factory=asyncio.Queue)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _gate_seen: asyncio.Event = field(default_factory=asyncio.Event)
    _gate_seen_at: float = 0.0
    _waiting: int = 0
    _trouble_at: float = 0.0

    def submit(self, job: Job) -> None:
        """Queues a claim; its ``done`` is called once, in the loop, whatever happens to the push."""
        self._jobs.put_nowait(job)
        # Created with the first jobs: a channel that is never used has none.
        if len(self._tasks) < self.count:
            self._tasks.append(asyncio.get_running_loop().create_task(self._work()))

    async def close(self) -> None:
        """Stops the coroutines. Call it when nothing is in flight."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def note_gate(self, asked: float, *, closed: bool) -> None:
        """Notes the gate state of a turn sent at monotonic time ``asked``. Call it before submitting its claims."""
        if closed:
            self._give_back("the gate has closed", lambda job: not job.claim.probe)
        # A turn that was already on its way cannot know about a push that failed since; another turn follows.
        self._gate_seen_at = time.monotonic() if asked > self._trouble_at else 0.0
        self._gate_seen.set()

    @property
    def waits_for_a_turn(self) -> bool:
        """Whether jobs are waiting for a turn's gate state."""
        return self._waiting > 0 and not self._jobs.empty()

    def give_back(self) -> None:
        """Gives back all waiting jobs unsent; for when the process is about to end."""
        self._give_back("the worker is stopping", lambda _: True)

    def _give_back(self, why: str, goes: Callable[[Job], bool]) -> None:
        for _ in range(self._jobs.qsize()):
            job = self._jobs.get_nowait()
            if goes(job):
                job.done(self._settlement(job.claim, PushResult(Outcome.UNSENT, why, reached=False)))
            else:
                self._jobs.put_nowait(job)

    async def _work(self) -> None:
        while True:
            while not self._jobs.empty() and time.monotonic() - self._gate_seen_at > FRESH_S:
                await self._await_turn()
            job = await self._jobs.get()
            with _span(self.channel, job.claim) as span:
                await self._finish(job, span)

    async def _finish(self, job: Job, span: Span) -> None:
        started = time.monotonic()
        result = await self._push(job.claim, started, span)
        if result.outcome not in {Outcome.DELIVERED, Outcome.REJECTED, Outcome.UNSENT}:
            self._gate_seen_at, self._trouble_at = 0.0, time.monotonic()
        took_s = time.monotonic() - started
        # Settled before it is logged: a log that cannot be written must not cost a delivery.
        job.done(self._settlement(job.claim, result, took_s))
        with contextlib.suppress(Exception):
            if span.is_recording:
                _tell(span, result)
            self._log(job.claim, result, took_s)

    async def _await_turn(self) -> None:
        self._gate_seen.clear()
        self._waiting += 1
        try:
            await self._gate_seen.wait()
        finally:
            self._waiting -= 1

    def _settlement(self, claim: Claim, result: PushResult, took_s: float = 0.0) -> Settlement:
        try:
            history = [] if result.outcome is Outcome.DELIVERED else claim.history()
        except Exception:  # noqa: BLE001 # damaged record: settle it as if new
            logger().exception("push.history_broken", channel=self.channel.name)
            history = [History(0, 0.0)] * len(claim.message_ids)
        jitter = random.random()  # noqa: S311 # only spreads retries
        step = next_step(result, history, self.channel.policy, jitter, claim.early_ms)
        return Settlement(claim, result, step, took_ms=round(took_s * 1000))

    async def _push(self, claim: Claim, now: float, span: Span) -> PushResult:
        if claim.deadline - now < self.deadline_s:
            return PushResult(Outcome.UNSENT, "its lease would not outlast the push", reached=False)
        request = None
        try:
            if claim.may_have_expired(now):  # the next claim drops it
                return PushResult(Outcome.UNSENT, "a message has expired", reached=False)
            conversation, address, _ = read_content(claim.records[0])
            request = self.channel.kind.request(conversation, address, [read_body(each) for each in claim.records])
            if span.is_recording:
                span.set_attributes({"http.request.method": request.method, "server.address": request.url.host})
            answer = await self.client.exchange(request)
            if span.is_recording:
                span.set_attributes({"http.response.status_code": answer.status})
            return self.channel.kind.read(answer)
        except PushNotSent as error:
            return PushResult(Outcome.FAILED, str(error), reached=False)
        except PushUnanswered as error:
            return PushResult(Outcome.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001 # our own bugs must not stop the coroutines
            logger().exception("push.broken", channel=self.channel.name)
            outcome = Outcome.FAILED if request is None else Outcome.UNKNOWN
            return PushResult(outcome, f"a fault in Pushlane: {type(error).__name__}", reached=request is not None)

    def _log(self, claim: Claim, result: PushResult, took_s: float) -> None:
        delivered = result.outcome is Outcome.DELIVERED
        (logger().info if delivered else logger().warning)(
            "push.done",
            channel=self.channel.name,
            conversation=claim.conversation.decode(),
            size=len(claim.message_ids),
            message_ids=b",".join(claim.message_ids).decode(),
            attempt=claim.attempt(),
            outcome=result.outcome.name.lower(),
            duration_ms=round(took_s * 1000, 1),
            **({} if delivered else {"detail": result.detail}),
            **_cut(result.retry_after_s, self.channel.policy.retry_after_cap_s),
            **result.log,
        )


def _span(channel: Channel, claim: Claim) -> Span:
    """The span of a push; nothing is recorded unless one of its messages was sent in a sampled span."""
    if not claim.details:
        return tracing.NO_SPAN
    try:
        attributes: tracing.Attributes = {
            "messaging.batch.message_count": len(claim.message_ids),
            "messaging.message.conversation_id": claim.conversation.decode(),
            "pushlane.attempt": claim.attempt(),
        }
        return tracing.pushing(channel.name, claim.traces(), attributes)
    except Exception:  # noqa: BLE001 # damaged details must not stop the coroutine; the settlement logs them
        return tracing.NO_SPAN


def _tell(span: Span, result: PushResult) -> None:
    outcome = result.outcome.name.lower()
    span.set_attributes({"pushlane.outcome": outcome})
    if result.outcome is not Outcome.DELIVERED:
        span.set_error(outcome)


def _cut(retry_after_s: float | None, cap_s: float) -> dict[str, float]:
    """The Retry-After as asked for and as obeyed, if these differ."""
    return {} if (retry_after_s or 0) <= cap_s else {"retry_after_s": retry_after_s or 0, "obeyed_s": cap_s}
