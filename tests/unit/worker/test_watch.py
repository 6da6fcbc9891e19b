"""What `pushlane status --watch` draws, without a terminal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
from rich.cells import cell_len

from pushlane.errors import NewerChannel
from pushlane.operators.overview import Gate, Histogram, Overview, RateUse
from pushlane_worker.cli.watch.reading import SECONDS, History, Reading
from pushlane_worker.cli.watch.rows import SEVERITY, age, row, shown_first, word_of
from pushlane_worker.cli.watch.screen import frame, sparkline

if TYPE_CHECKING:
    from pushlane.operators.states import State

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
OPEN = Gate("open", None, "", None, None, None)
QUIET = Overview(
    channel="support",
    at=NOW,
    kind="cinnox",
    queue="pushlane",
    consumed=True,
    depth=0,
    max_queued=1000,
    scheduled=0,
    ready=0,
    delayed=0,
    leased=0,
    held=0,
    blocked=0,
    oldest_ready_at=None,
    oldest_blocked_at=None,
    gate=OPEN,
    rate=RateUse(0, None, 60),
    accepted=0,
    delivered=0,
    pushes={},
    push_seconds=Histogram({}, 0, 0),
    push_messages=Histogram({}, 0, 0),
    dead_letters=0,
    dead_lettered={},
    unknown_pushes=0,
    last_unknown=(),
)


def channel(name: str = "support", **fields: Any) -> Overview:  # noqa: ANN401 - each field its own type
    """A quiet channel but for these fields."""
    return replace(QUIET, channel=name, **fields)


def seen(*channels: Overview, **fields: Any) -> History:  # noqa: ANN401 - the same
    """One reading of these channels."""
    history = History()
    history.add(Reading(NOW, {one.channel: one for one in channels}, **fields))
    return history


def drawn(history: History, columns: int = 80, lines: int = 24, *, ascii_only: bool = False) -> list[str]:
    """The lines of the screen as text."""
    return [line.plain for line in frame(history, columns, lines, ascii_only=ascii_only)]


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "open"),
        ({"depth": 1, "consumed": False}, "no worker"),
        ({"consumed": False}, "open"),
        ({"depth": 1000}, "full"),
        ({"blocked": 2}, "blocked"),
        ({"gate": replace(OPEN, state="broken")}, "broken"),
        ({"gate": replace(OPEN, state="throttled"), "blocked": 1}, "blocked"),
        ({"gate": replace(OPEN, state="broken", paused_since=NOW)}, "paused"),
    ],
)
def test_the_worst_is_said_in_a_word(fields: dict[str, Any], state: str) -> None:
    """Never by a colour alone."""
    assert word_of(channel(**fields)) == state
    assert state in row(channel(**fields), None).cells["state"]


def test_what_needs_somebody_comes_first_then_what_has_most_to_do() -> None:
    """Those that cannot be read at all, because of a newer release or a node that is away, before all others."""
    broken = channel("broken", gate=replace(OPEN, state="broken"))
    found: dict[str, State] = {one.channel: one for one in (channel("idle"), channel("busy", depth=9), broken)}
    found |= {"newer": NewerChannel("newer", 9), "away": redis.ConnectionError("refused"), "gone": None}
    assert shown_first(found) == ["newer", "away", "broken", "busy", "idle", "gone"]
    assert list(SEVERITY)[-1] == "unregistered"


def test_a_row_in_80_columns() -> None:
    """All columns, the numbers to the right, and the hour in what is left."""
    gate = replace(OPEN, state="throttled", until=NOW + timedelta(seconds=12))
    full = channel(
        depth=3_000_000,
        max_queued=10_000_000,
        oldest_ready_at=NOW - timedelta(minutes=5),
        rate=RateUse(250, 500, 60),
        gate=gate,
        dead_letters=7,
    )
    history = seen(full, hours={"support": (0,) * 59 + (8,)})
    _, head, line = drawn(history)
    assert head.split() == ["channel", "depth", "oldest", "per", "s", "rate", "dead", "state", "last", "hour"]
    assert line.split() == ["support", "3000k", "5m", "-", "50%", "7", "throttled", "12s", "▁" * 19 + "█"]


@pytest.mark.parametrize("columns", [1, 10, 20, 30, 40, 60, 80, 120, 300])
@pytest.mark.parametrize("lines", [1, 2, 5, 24])
def test_nothing_is_wider_than_the_terminal(columns: int, lines: int) -> None:
    """However narrow it is, and whatever the names are: a wrapped line would push another off the screen."""
    history = seen(*(channel(name, depth=10**12) for name in ("会議" * 30, "x" * 64, "a")), unfed=3)
    history.add(Reading(NOW, problem="e" * 500))
    shown = drawn(history, columns, lines)
    if columns >= 20:
        assert max(map(cell_len, shown)) <= columns
    assert len(shown) <= max(lines, 5)


def test_a_thousand_channels_are_counted() -> None:
    """As many as fit, and how many of the others need somebody."""
    broken = [channel(f"b{number}", gate=replace(OPEN, state="broken")) for number in range(25)]
    shown = drawn(seen(*broken, *(channel(f"c{number}") for number in range(975))))
    assert len(shown) == 23
    assert shown[-1] == "980 more channels are not shown, 5 of them with trouble"


def test_texts_from_outside_cannot_control_the_terminal() -> None:
    """Neither names nor Redis's errors."""
    history = seen(channel("a\x1b[2J\nb"))
    history.add(Reading(NOW, problem="gone\x1b[2J\r\nnow"))
    assert "".join(drawn(history)).isprintable()


def test_redis_away_is_said_since_its_first_reading() -> None:
    """The last state stays below; once Redis answers, the line is gone."""
    history = seen(channel())
    history.add(Reading(NOW + timedelta(seconds=1), problem="refused"))
    history.add(Reading(NOW + timedelta(seconds=2), problem="still refused"))
    _, away, _, line = drawn(history)
    assert away.endswith("09:00:01 UTC: refused")
    assert line.startswith("support")
    history.add(Reading(NOW + timedelta(seconds=3), {"support": channel()}))
    assert "away" not in "".join(drawn(history))


def test_deliveries_per_second_are_those_of_the_last_ten() -> None:
    """No more is kept; a counter that starts again is no negative rate."""
    history = History()
    for second in range(SECONDS * 3):
        one = channel(delivered=0 if second < SECONDS else (second - SECONDS) * 5)
        history.add(Reading(NOW + timedelta(seconds=second), {"support": one}))
    assert history.per_s("support") == 5
    assert len(history._delivered) == SECONDS + 1
    history.add(Reading(NOW + timedelta(seconds=99), {"support": channel()}))
    assert history.per_s("support") == 0
    assert history.per_s("other") is None


def test_sparklines() -> None:
    """Any delivery is more than the lowest bar; the most fills the highest; the sums are of equal times."""
    assert sparkline([0] * 60, 10) == "▁" * 10
    assert sparkline([1] + [0] * 58 + [1000], 60) == "▂" + "▁" * 58 + "█"
    assert sparkline([1] * 60, 20) == "█" * 20
    assert drawn(seen(channel(), hours={"support": (1,) * 60}), ascii_only=True)[-1].endswith("#" * 20)


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (200_000, "2d")])
def test_ages(seconds: float, text: str) -> None:
    """The largest unit, rounded down."""
    assert age(seconds) == text
