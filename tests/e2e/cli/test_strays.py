"""What somebody has put by hand into the set of channels, and no channel can be called, costs no command anything."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from support.command import pushlane
from support.completion import offered
from support.shell import first_line, show
from support.stack import channel_settings, fake_api

from pushlane.keys import CHANNELS

STRAYS = ("bad name", b"\xff\n", "", "x" * 33, "{tag}")


@pytest.fixture
def strayed(redis: Redis, support: str) -> str:
    """The address of a queue with the channel ``support`` and these names beside it."""
    redis.sadd(CHANNELS, *STRAYS)
    return support


@pytest.mark.parametrize(
    "read",
    [
        lambda url: show(url, "status"),
        lambda url: show(url, "channel", "list"),
        lambda url: first_line(url, "status", "--watch", "--json"),
    ],
    ids=["status", "channel list", "watch"],
)
def test_the_channels_are_listed_without_them(read: Callable[[str], Any], strayed: str) -> None:
    """Each command reads the set."""
    assert [one["channel"] for one in read(strayed)["channels"]] == ["support"]


def test_blocked_conversations_are_found_without_them(strayed: str) -> None:
    """In all channels."""
    assert show(strayed, "blocked") == {"gates": [], "blocked": [], "total": 0}


def test_a_shell_does_not_offer_them(strayed: str) -> None:
    """They would be refused."""
    assert offered("status", "", PUSHLANE_REDIS_URL=strayed) == ["support"]


def test_check_tells_of_them_once(redis: Redis, strayed: str) -> None:
    """In one line, however many there are; they stop nothing."""
    with fake_api() as api:
        settings = channel_settings(api.url)
        told = pushlane("check", redis_url=strayed, settings=settings).ok()
        assert told.count(CHANNELS) == 1
        strays = ", ".join(map(repr, ("", "\\xff\n", "bad name", "x" * 33, "{tag}")))
        assert f"warning  Redis: the set {CHANNELS} has {strays}, which no channel can be called: " in told
        redis.srem(CHANNELS, *STRAYS)
        assert CHANNELS not in pushlane("check", redis_url=strayed, settings=settings).ok()
