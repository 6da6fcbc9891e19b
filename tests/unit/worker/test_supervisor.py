"""What the log has of a dispatcher's steps that fail."""

from redis import ConnectionError as RedisConnectionError
from redis import ResponseError
from structlog.testing import capture_logs

from pushlane.errors import NewerChannel
from pushlane_worker.dispatch.supervisor import Supervisor

BROKEN = ResponseError("WRONGTYPE Operation against a key script: 5a2, on @user_script:94.")


async def _events(*ends: Exception | None) -> list[str]:
    """Of one step that ends like this, time after time."""
    supervisor = Supervisor()
    with capture_logs() as logs:
        for end in ends:

            async def step(end: Exception | None = end) -> None:
                if end is not None:
                    raise end

            await supervisor.tried("sweep", step)
    return [line["event"] for line in logs]


async def test_an_outage_is_two_lines() -> None:
    """Its begin and its end, however often a step fails meanwhile."""
    away = RedisConnectionError("refused")
    assert await _events(None, away, away, None, None) == ["redis.away", "redis.back"]


async def test_a_script_that_fails_of_itself_is_no_outage() -> None:
    """One channel's broken key must not look like a Redis that comes and goes each second with the other channels."""
    assert await _events(BROKEN, None, BROKEN) == ["dispatcher.sweep_failed"] * 2


async def test_a_newer_releases_channel_is_one_line_and_no_outage() -> None:
    """Redis has answered; each channel has a line of its own."""
    newer, other = NewerChannel("support", 3), NewerChannel("sales", 3)
    assert await _events(RedisConnectionError("refused"), newer, newer) == [
        "redis.away",
        "channel.newer_version",
        "redis.back",
    ]
    assert await _events(newer, other, newer) == ["channel.newer_version"] * 2
