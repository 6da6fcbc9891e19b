"""``pushlane status --watch``: the channels, read again each second until Ctrl-C.

::

    reading   what was read, and deliveries a second between readings
    rows      one channel in words and numbers, the most troubled first
    screen    the rows that fit a terminal of some size
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import redis
from rich.console import Console, Group
from rich.live import Live

from pushlane.operators.inspection import Inspector
from pushlane.operators.overview import Overview
from pushlane_worker.cli import child_processes, queue
from pushlane_worker.cli.exit_codes import Refused, words_of
from pushlane_worker.cli.output import width
from pushlane_worker.cli.watch.reading import History, Reading
from pushlane_worker.cli.watch.rows import shown_first
from pushlane_worker.cli.watch.screen import frame, space

PERIOD_S = 1.0

Names = Callable[[Inspector], list[str]]
"""The channels to show; asked each time, because channels come and go."""


def watch(names: Names) -> None:
    """Shows the channels in the terminal until Ctrl-C, which leaves the last state on the screen.

    Raises:
        Refused: Standard output is no terminal that can be written to more than once.
    """
    console = Console(markup=False, highlight=False)
    if width() is None or console.is_dumb_terminal:
        raise Refused("--watch needs a terminal on standard output; `--watch --json` prints a line of JSON each second")
    child_processes.end_on_sigterm()  # which gives the terminal its screen back, too
    history, shown = History(), Group()
    try:
        with queue.inspector() as inspector, Live(console=console, screen=True, auto_refresh=False) as live:
            for _ in _ticks():
                history.add(read(inspector, names, space(console.height)))
                shown = Group(*frame(history, console.width, console.height, ascii_only=console.options.ascii_only))
                live.update(shown, refresh=True)
    finally:
        console.print(shown)


def readings(names: Names) -> Iterator[Reading]:
    """A reading each second, without the last hour."""
    with queue.inspector() as inspector:
        for _ in _ticks():
            yield read(inspector, names, 0)


def read(inspector: Inspector, names: Names, detailed: int) -> Reading:
    """The channels now, with the last hour of those that come first; or why Redis does not answer."""
    at = datetime.now(UTC)
    try:
        states = inspector.states(names(inspector))
        shown = [name for name in shown_first(states)[:detailed] if isinstance(states[name], Overview)]
        return Reading(at, states, inspector.throughput(shown), inspector.count_unfed())
    except (redis.RedisError, OSError) as error:
        return Reading(at, problem=words_of(error))


def _ticks() -> Iterator[None]:
    """Now and each second from now on; what was missed by a slow reading is left out."""
    due = time.monotonic()
    while True:
        yield
        due = max(due + PERIOD_S, time.monotonic())
        time.sleep(due - time.monotonic() if due > time.monotonic() else 0)
