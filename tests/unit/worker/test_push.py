"""A claim on its way to a pusher is done once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from typing import TYPE_CHECKING, ClassVar, NoReturn

import httpx
import pytest
from pydantic import SecretStr

from pushlane.message_record import DETAILS, DETAILS_BYTES, FIELDS, HEADER_BYTES
from pushlane.outcome import Outcome
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.channel import make_channel
from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.channels.http import PushClient
from pushlane_worker.drains.push import Job, Pushers
from pushlane_worker.queue.retry import History
from pushlane_worker.queue.turns import read_claim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pushlane_worker.channels import ChannelKind
    from pushlane_worker.queue.outcome import Answer, PushResult
    from pushlane_worker.queue.turns import Settlement

DEADLINE_S = 5.0
ROOM, BODY = b"room", b'"hi"'
ATTEMPTS = b"0003"
ACCEPTED_MS, JOINED_MS, CLAIMED_MS = 400, 700, 1000


def record() -> bytes:
    """A queued message's."""
    header = bytearray(b"0" * HEADER_BYTES)
    header[FIELDS["version"]] = b"2"
    header[FIELDS["state"]] = b"q"
    header[FIELDS["mark"]] = b"d"
    header[FIELDS["accepted"]] = b"%013d" % ACCEPTED_MS
    header[FIELDS["conversation_bytes"]] = b"%03d" % len(ROOM)
    return bytes(header) + ROOM + BODY


def details(expires_ms: int = 0) -> bytes:
    """Those of a message that has been pushed before."""
    fields = bytearray(b"0" * DETAILS_BYTES)
    fields[DETAILS["attempts"]] = ATTEMPTS
    fields[DETAILS["joined"]] = b"%013d" % JOINED_MS
    fields[DETAILS["expires"]] = b"%013d" % expires_ms
    return bytes(fields)


class Broken:
    """A channel kind whose code has a fault."""

    kind: ClassVar[str] = "broken"
    batch_limit: ClassVar[int] = 10
    max_text: ClassVar[int | None] = None

    def request(self, conversation: str, address: bytes, bodies: Sequence[bytes]) -> httpx.Request:
        """Is right."""
        del conversation, address, bodies
        return httpx.Request("POST", "https://api.example.com/")

    def read(self, answer: Answer) -> PushResult:
        """Breaks."""
        raise ZeroDivisionError(answer.status)


class BrokenBefore(Broken):
    """It breaks when it builds the request."""

    def request(self, conversation: str, address: bytes, bodies: Sequence[bytes]) -> NoReturn:
        """Breaks."""
        raise ZeroDivisionError(conversation, address, bodies)


class Api:
    """Counts requests and says yes, or raises."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.error: Exception | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answers."""
        self.texts.append(request.content.decode())
        if self.error is not None:
            raise self.error
        return httpx.Response(200, content=json.dumps({"code": 0, "message": "ok"}))


@pytest.fixture
def api() -> Api:
    """An API that accepts all."""
    return Api()


@pytest.fixture
async def pushers(api: Api) -> AsyncIterator[Pushers]:
    """A single coroutine of a `cinnox` channel."""
    settings = ChannelSettings(
        kind="cinnox", base_url="https://api.example.com", app_id="app", token=SecretStr("t"), token_file=None
    )
    client = PushClient(httpx.MockTransport(api), deadline_s=DEADLINE_S)
    pushers = Pushers(make_channel("support", settings, DEADLINE_S), client, DEADLINE_S, count=1)
    yield pushers
    await pushers.close()


async def push(
    pushers: Pushers, *batch: bytes, lease_s: float = 30.0, early_ms: int = 0, age_s: float = 0.0
) -> Settlement:
    """What becomes of a claim of messages with these details that was asked for this long ago, within 5 s."""
    done: asyncio.Queue[Settlement] = asyncio.Queue()
    asked, batch = time.monotonic() - age_s, batch or (details(),)
    head = (ROOM, b"d:0:0", early_ms + 1 if early_ms else 0, batch)
    claim = read_claim([*head, *[b"m", record()] * len(batch)], CLAIMED_MS, asked, lease_s)
    pushers.note_gate(time.monotonic(), closed=False)
    pushers.submit(Job(claim, done.put_nowait))
    async with asyncio.timeout(5):
        settlement = await done.get()
    await asyncio.sleep(0)
    assert done.empty()
    return settlement


def with_kind(pushers: Pushers, kind: ChannelKind) -> None:
    """Replaces the channel's kind."""
    pushers.channel = dataclasses.replace(pushers.channel, kind=kind)


async def test_a_push_is_done(pushers: Pushers, api: Api) -> None:
    """What the API accepted is delivered, with nothing more to do."""
    settlement = await push(pushers)
    assert (settlement.result.outcome, settlement.step.dead, len(api.texts)) == (Outcome.DELIVERED, "", 1)


async def test_a_log_that_breaks_costs_no_delivery(pushers: Pushers, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is settled before it is reported."""

    def broken() -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pushlane_worker.drains.push.logger", broken)
    assert (await push(pushers)).result.outcome is Outcome.DELIVERED


async def test_a_fault_before_the_request_is_a_failed_push(pushers: Pushers, api: Api) -> None:
    """Nothing left the process: it is tried again, and cannot have become two."""
    with_kind(pushers, BrokenBefore())
    settlement = await push(pushers)
    assert (settlement.result.outcome, settlement.result.reached) == (Outcome.FAILED, False)
    assert (settlement.result.detail, settlement.step.dead) == ("a fault in Pushlane: ZeroDivisionError", "0")
    assert api.texts == []
    assert (await push(pushers)).result.outcome is Outcome.FAILED, "the coroutine goes on"


async def test_a_fault_after_the_request_is_an_unknown_outcome(pushers: Pushers, api: Api) -> None:
    """The messages may be there: it is counted and listed as what may duplicate."""
    with_kind(pushers, Broken())
    settlement = await push(pushers)
    assert (settlement.result.outcome, settlement.result.reached) == (Outcome.UNKNOWN, True)
    assert (settlement.step.dead, len(api.texts)) == ("0", 1)
    assert (await push(pushers)).result.outcome is Outcome.UNKNOWN, "the coroutine goes on"


async def test_a_fault_of_the_transport_is_an_unknown_outcome(pushers: Pushers, api: Api) -> None:
    """An error that nobody foresaw says nothing about how far the request came."""
    api.error = KeyError("x")
    settlement = await push(pushers)
    assert (settlement.result.outcome, settlement.result.reached) == (Outcome.UNKNOWN, True)


async def test_no_connection_is_a_failed_push(pushers: Pushers, api: Api) -> None:
    """It certainly took no effect."""
    api.error = httpx.ConnectError("refused")
    settlement = await push(pushers)
    assert (settlement.result.outcome, settlement.result.reached) == (Outcome.FAILED, False)


async def test_a_probe_before_its_time_that_failed_is_no_attempt(pushers: Pushers, api: Api) -> None:
    """Its conversation waits the rest of its own time."""
    api.error = httpx.ConnectError("refused")
    settlement = await push(pushers, early_ms=59_000)
    assert (settlement.step.wait_ms, settlement.step.dead) == (59_000, "")


async def test_a_claim_whose_lease_would_end_in_mid_push_is_given_back(pushers: Pushers, api: Api) -> None:
    """Another one may claim the conversation then, and both would push it."""
    settlement = await push(pushers, lease_s=DEADLINE_S - 0.1)
    assert (settlement.result.outcome, settlement.result.reached, api.texts) == (Outcome.UNSENT, False, [])


@pytest.mark.parametrize(("left_ms", "pushed"), [(2000, False), (60_000, True)])
async def test_a_claim_with_a_message_whose_time_is_over_is_given_back(
    pushers: Pushers,
    api: Api,
    left_ms: int,
    pushed: bool,  # noqa: FBT001 # pytest's table
) -> None:
    """What was claimed ahead may have waited for longer than a message may live."""
    settlement = await push(pushers, b"", details(CLAIMED_MS + left_ms), age_s=2.0)
    assert settlement.result.outcome is (Outcome.DELIVERED if pushed else Outcome.UNSENT)
    assert (settlement.result.reached, len(api.texts)) == (pushed, int(pushed))


@pytest.mark.parametrize(
    ("batch", "attempt", "history"),
    [
        (b"", 1, [History(0, 0.6), History(0, 0.6)]),
        ([b"", details()], 1, [History(0, 0.6), History(3, 0.3)]),
        ([details(), b""], 4, [History(3, 0.3), History(0, 0.6)]),
    ],
)
def test_a_message_without_details_is_new_since_it_was_accepted(
    batch: bytes | list[bytes], attempt: int, history: list[History]
) -> None:
    """Most messages have none, and a claim of such messages does not even list them."""
    claim = read_claim([ROOM, b"d:0:0", 0, batch, b"m1", record(), b"m2", record()], CLAIMED_MS)
    assert (claim.attempt(), claim.history(), claim.may_have_expired(1e9)) == (attempt, history, False)
    assert (claim.message_ids, claim.records) == ([b"m1", b"m2"], [record(), record()])


def test_the_broken_kinds_are_kinds() -> None:
    """The tests above replace a kind by nothing less."""
    kinds: list[ChannelKind] = [Broken(), BrokenBefore()]
    assert {kind.kind for kind in kinds} != {Cinnox.kind}
