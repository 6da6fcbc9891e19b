"""`pushlane callback --try`: one signed question to a callback that runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.callback import Callback, callback, moderation
from support.command import Ended, pushlane
from support.ports import free_port

from pushlane.keys import DECISIONS_PREFIX


@pytest.fixture
def running(tmp_path: Path, redis_url: str) -> Iterator[Callback]:
    """A callback whose blocked word is `casino`."""
    with callback(tmp_path, redis_url, moderation(tmp_path)) as started:
        yield started


def tried(where: Callback, text: str, folder: Path, redis_url: str, **settings: object) -> Ended:
    """The command with the settings of the callback, but for these."""
    port = where.url.rpartition(":")[2]
    return pushlane(
        "callback", "--port", port, "--try", text, redis_url=redis_url, settings=moderation(folder, **settings)
    )


def test_what_the_callback_answers_is_told(running: Callback, tmp_path: Path, redis: Redis, redis_url: str) -> None:
    """In a word, and the question is recorded like any other; one that is signed with another token is refused."""
    assert tried(running, "hello", tmp_path, redis_url).ok() == "allow\n"
    assert tried(running, "a casino", tmp_path, redis_url).ok() == "forbid\n"
    assert redis.xlen(f"{DECISIONS_PREFIX}stream") == 2
    tried(running, "hello", tmp_path, redis_url, tokens="another").refused(1, "HTTP 401", "deliver")


def test_nobody_to_ask_is_a_line(tmp_path: Path, redis_url: str) -> None:
    """No callback there, and no moderation to sign for."""
    words = ("callback", "--port", str(free_port()), "--try", "hello")
    pushlane(*words, redis_url=redis_url, settings=moderation(tmp_path)).refused(1, "no answer from 127.0.0.1:")
    pushlane(*words, redis_url=redis_url).refused(2, "PUSHLANE_MODERATION__SDK_APP_IDS")
