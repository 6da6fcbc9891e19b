"""What a dispatcher logs of a sweep's reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from structlog.testing import capture_logs

from pushlane_worker.dispatch.sweeper import Sweeper

if TYPE_CHECKING:
    from pushlane_worker.queue.store import Store


class _Swept:
    """A store in which a sweep finds these deaths."""

    def __init__(self, *died: object) -> None:
        self._died = list(died)

    async def call(self, *_: object) -> list[Any]:
        return [0, [], 1_700_000_000_000, self._died, [], 1_700_000_000_000]


async def _logged(*died: object) -> list[Any]:
    sweeper = Sweeper(cast("Store", _Swept(*died)), {}, {}, lease_s=30)
    with capture_logs() as logs:
        await sweeper._sweep_once("support")
    return logs


async def test_deaths_without_a_push_are_a_warning_with_their_ids_for_each_reason() -> None:
    """Whoever searches the log for a message's id finds its death."""
    line = {"event": "messages.dead_lettered", "log_level": "warning", "channel": "support"}
    assert await _logged(0, b"m1", b"e", b"m2", b"f", b"m3", b"e") == [
        {**line, "message_ids": "m1,m3", "reason": "expired"},
        {**line, "message_ids": "m2", "reason": "forbidden"},
    ]


async def test_a_line_says_how_many_dead_letters_were_not_looked_at() -> None:
    """So nobody takes a hundred ids for all of them."""
    (line,) = await _logged(7, b"m1", b"e")
    assert line["unread"] == 7


async def test_a_sweep_without_deaths_logs_nothing() -> None:
    """It runs each second."""
    assert await _logged(0) == []
