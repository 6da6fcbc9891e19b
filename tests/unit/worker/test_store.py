"""A drain's turns while Redis, or the way to it, is away."""

from __future__ import annotations

import asyncio
from hashlib import sha1
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis

from pushlane.keys import BELL, CHANNELS, channel_prefix
from pushlane.scripts import UNREGISTERED, source
from pushlane_worker.queue.store import MAX_WAITING, WORKER, Store
from pushlane_worker.queue.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLY: list[Any] = [
    0,
    [],
    [[b"room", b"d:3:0", 0, b"m", b"1q"]],
    1_700_000_000_000,
    b"empty",
    0,
    0,
    0,
    [],
    1_700_000_000_000,
]
DRAIN, NUMBER, FREE, BUSY = "d", 3, 5, 2
RECORD: dict[str, str | int] = {"kind": "cinnox", "queue": "pushlane"}


class Client:
    """Answers the scripts' calls with what the test says, and keeps them."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, Sequence[object], Sequence[object]]] = []
        self.channels: list[str] = []
        texts = {"turn": source("turn", WORKER), "sweep": source("sweep", WORKER), "register": source("register")}
        self._names = {sha1(text.encode(), usedforsecurity=False).hexdigest(): name for name, text in texts.items()}

    async def evalsha(self, sha: str, keys: int, *words: object) -> object:
        """One of the three scripts."""
        name = self._names[sha]
        self.calls.append((name, words[:keys], words[keys:]))
        if name != "turn":
            return 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sadd(self, key: str, channel: str) -> int:
        """The set of channels."""
        assert key == CHANNELS
        self.channels.append(channel)
        return 1

    def turns(self) -> Turns:
        """A drain before its turn 3."""
        store = Store(cast("redis.asyncio.Redis", self), {"support": RECORD})
        return Turns(store, "support", 30.0, DRAIN, NUMBER)

    def named(self, name: str) -> list[Sequence[object]]:
        """The arguments of each call of a script."""
        return [list(args) for called, _, args in self.calls if called == name]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again at once."""
    monkeypatch.setattr("pushlane_worker.queue.turns._RETRY_FIRST_S", 0)
    monkeypatch.setattr("pushlane_worker.queue.turns._RETRY_CAP_S", 0)


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("reset"),
        redis.TimeoutError("no answer"),
        redis.BusyLoadingError("loading"),
        redis.ReadOnlyError("a replica"),
        redis.OutOfMemoryError("full"),
        redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis.ResponseError("NOREPLICAS Not enough good replicas to write. script: f, on @user_script:9."),
        redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        redis.ResponseError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
        redis.ResponseError("UNKILLABLE Sorry the script already executed write commands against the dataset."),
        redis.ResponseError("NOPROTO of a proxy"),
        OSError(104, "reset"),
        RuntimeError("unable to perform operation; the handler is closed"),
    ],
    ids=str,
)
async def test_a_turn_without_an_answer_is_sent_again_with_its_number(error: Exception) -> None:
    """However long it takes: what it settles is not forgotten, and Redis knows a repeated turn by its number."""
    client = Client(*[error] * 30, REPLY)
    turns = client.turns()
    turn = await turns.take(FREE, BUSY, [])
    assert client.named("turn") == [["", "", DRAIN, NUMBER, FREE, BUSY, 30_000, 0]] * 31
    assert [claim.conversation for claim in turn.claims] == [b"room"]
    assert turns.number == NUMBER + 1


async def test_a_turn_that_the_script_refuses_is_given_up() -> None:
    """A fault of the script does not pass: after ten refusals the drain hears of it, and its number stays."""
    client = Client(*[redis.ResponseError("user_script: no such thing")] * 11, REPLY)
    turns = client.turns()
    with pytest.raises(redis.ResponseError, match="no such thing"):
        await turns.take(FREE, BUSY, [])
    assert (len(client.named("turn")), turns.number) == (11, NUMBER)


async def test_ten_refusals_are_none_too_many() -> None:
    """A server that is just being replaced may refuse for a while."""
    client = Client(*[redis.ResponseError("unknown command")] * 10, REPLY)
    assert (await client.turns().take(FREE, BUSY, [])).claims


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours")])
async def test_a_fault_of_our_own_is_not_repeated(error: Exception) -> None:
    """Only what may end with Redis being away is tried again."""
    client = Client(error, REPLY)
    with pytest.raises(type(error), match="ours"):
        await client.turns().take(FREE, BUSY, [])
    assert len(client.named("turn")) == 1


async def test_each_try_says_anew_how_late_it_can_be_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that waits for Redis for a minute must not pass for a clock that stepped."""
    monkeypatch.setattr("pushlane_worker.queue.store.time", SimpleNamespace(monotonic=count(1.0).__next__))
    client = Client(REPLY, redis.ConnectionError("reset"), REPLY)
    turns = client.turns()
    await turns.take(FREE, BUSY, [])
    await turns.take(FREE, BUSY, [])
    first, before, after = [args[1] for args in client.named("turn")]
    assert first == ""
    assert 1000 <= int(str(after)) - int(str(before)) <= 1001


async def test_a_turn_of_a_channel_that_redis_forgot_registers_it_and_goes_on() -> None:
    """After a FLUSHALL the next turn of any drain makes the channel known again, under the same number."""
    client = Client([UNREGISTERED], REPLY)
    turns = client.turns()
    turn = await turns.take(FREE, BUSY, [])
    assert [name for name, _, _ in client.calls] == ["turn", "register", "turn"]
    assert [keys for _, keys, _ in client.calls] == [(channel_prefix("support"), BELL)] * 3
    assert client.channels == ["support"]
    assert client.named("turn") == [["", "", DRAIN, NUMBER, FREE, BUSY, 30_000, 0]] * 2
    assert client.named("register") == [["", "kind", "cinnox", "queue", "pushlane"]]
    assert ([claim.conversation for claim in turn.claims], turns.number) == ([b"room"], NUMBER + 1)


async def test_no_more_drains_wait_than_there_are_connections_for() -> None:
    """However many ask at once: turns need connections, too."""
    waiting = 0

    class Blocks(Client):
        async def blpop(self, _keys: Sequence[str], *, timeout: float) -> None:  # noqa: ASYNC109 # redis-py's argument
            nonlocal waiting
            waiting += 1
            await asyncio.sleep(timeout)

    store = Store(cast("redis.asyncio.Redis", Blocks()), {})
    async with asyncio.TaskGroup() as drains:
        for number in range(MAX_WAITING + 3):
            drains.create_task(store.woken(f"c{number}", 0.01))
    assert waiting == MAX_WAITING
    assert store.may_wait
