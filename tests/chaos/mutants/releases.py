"""Channels that another release has registered."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from chaos.mutants.mutant import Mutant
from redis import ResponseError
from support.previous_release import OldQueue
from support.producers import everything
from support.queue import SWEEPER, Queue

from pushlane import scripts
from pushlane.channel_record import CHANNEL_VERSION
from pushlane.keys import BELL
from pushlane.scripts import UNREGISTERED
from pushlane_worker.queue.store import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis


def _leaves_a_newer_one(act: Callable[[Queue], object]) -> Callable[[Redis], None]:
    def check(redis: Redis) -> None:
        queue = Queue(redis)
        redis.hset(f"{queue.prefix}channel", "version", CHANNEL_VERSION + 1)
        before = everything(redis)
        with contextlib.suppress(ResponseError):
            act(queue)
        assert everything(redis) == before

    return check


def _assert_unregistered(queue: Queue) -> None:
    sweep: Any = queue.redis.register_script(scripts.source("sweep", WORKER))
    assert sweep(keys=[queue.prefix, BELL], args=[queue.now, "", SWEEPER]) == [UNREGISTERED]


def _sweeps_no_half_record(redis: Redis) -> None:
    queue = Queue(redis)
    redis.hdel(f"{queue.prefix}channel", "lease_rest_ms")
    _assert_unregistered(queue)


def _sweeps_no_older_record(redis: Redis) -> None:
    queue = Queue(redis)
    OldQueue(queue).register()
    _assert_unregistered(queue)


RELEASES = (
    Mutant(
        "a newer release's channel is touched",
        "if channel.version > CHANNEL_VERSION then",
        "if false then",
        _leaves_a_newer_one(lambda queue: queue.turn()),
    ),
    Mutant(
        "a newer release's record is replaced",
        "local known = load_channel(prefix)",
        "local known = redis.call('EXISTS', prefix .. 'channel') == 1",
        _leaves_a_newer_one(lambda queue: queue.register()),
    ),
    Mutant(
        "half a record counts",
        "    if not channel[name] then\n      return nil\n    end\n",
        "",
        _sweeps_no_half_record,
    ),
    Mutant("an older record stays", " or channel.version < CHANNEL_VERSION then", " then", _sweeps_no_older_record),
)
