"""The scripts in a fake Redis: for what a record looks like, without a server."""

from __future__ import annotations

from fakeredis import FakeRedis
from support.channels import channel_record

from pushlane.keys import channel_prefix
from pushlane.scripts import source

PREFIX = channel_prefix("support")


def script(name: str, package: str = "pushlane") -> str:
    """The text of a script as a fake Redis takes it: without its ``#!lua`` line."""
    return source(name, package).partition("\n")[2]


def fake_redis() -> FakeRedis:
    """One that knows the channel ``support``."""
    redis = FakeRedis()
    redis.hset(f"{PREFIX}channel", mapping=dict(channel_record().items()))
    return redis
