"""``ScriptLine``: one connection for the calls of one script, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from redis import Redis, ResponseError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pushlane.clients import ScriptLine, adapt

ECHO = "if ARGV[1] == 'wrong' then return redis.error_reply('ERR wrong') end return {KEYS[1], ARGV[1]}"


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client whose address asks for text."""
    client = redis.asyncio.Redis.from_url(f"{redis_url}?decode_responses=True", retry=Retry(NoBackoff(), 0))
    adapt(client)
    yield client
    await client.aclose()


async def test_answers_are_bytes_and_a_script_is_loaded_when_it_is_missed(
    client: redis.asyncio.Redis, redis: Redis
) -> None:
    """At first, and after the server forgot it."""
    line = ScriptLine(client, ECHO)
    assert await line.call(["k"], ["a"]) == [b"k", b"a"]
    redis.script_flush()
    assert await line.call(["k"], [b"\xff"]) == [b"k", b"\xff"]
    assert await client.get("nothing") is None
    assert await client.echo("é") == "é".encode()


async def test_a_connection_that_was_lost_is_opened_again(client: redis.asyncio.Redis, redis: Redis) -> None:
    """Such as by a server that closes what was idle."""
    line = ScriptLine(client, ECHO)
    await line.call(["k"], ["a"])
    redis.client_kill_filter(_type="normal", skipme=True)
    assert await line.call(["k"], ["b"]) == [b"k", b"b"]


async def test_calls_at_once_get_their_own_answers(client: redis.asyncio.Redis) -> None:
    """And so do those after one that was refused, or given up while its answer was on the way."""
    line = ScriptLine(client, ECHO)
    await line.call(["k"], ["a"])
    with pytest.raises(ResponseError, match="wrong"):
        await line.call(["k"], ["wrong"])
    calls = [asyncio.create_task(line.call(["k"], [str(number)])) for number in range(20)]
    await asyncio.sleep(0)
    calls[0].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [[b"k", str(number).encode()] for number in range(1, 20)]
