"""``pushlane demo``: sends 2,000 messages through its own queue and checks the fake API's record.

::

    stage     the parts: server, fake API, worker, Flower
    load      two producers at once
    verdict   the record against the receipts
"""

import contextlib
import signal
import time
from typing import Literal

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from pushlane.operators.inspection import Inspector
from pushlane_worker.cli import child_processes
from pushlane_worker.cli.demo.load import Load, Plan
from pushlane_worker.cli.demo.stage import CHANNEL, POLL_S, Stage, stage
from pushlane_worker.cli.demo.verdict import Verdict, judge
from pushlane_worker.cli.exit_codes import Failed

STALLED_S = 30.0
"""How long the demo waits without any progress."""


@click.command("demo")
@click.option("--messages", default=2000, show_default=True, type=click.IntRange(2), help="How many to enqueue.")
@click.option("--rooms", default=40, show_default=True, type=click.IntRange(1), help="How many rooms to use.")
@click.option("--flower", is_flag=True, help="Also run Flower, until Ctrl-C.")
@click.option("--sabotage", type=click.Choice(["swallow", "swap"]), hidden=True)
def command(messages: int, rooms: int, flower: bool, sabotage: Literal["swallow", "swap"] | None) -> None:  # noqa: FBT001 - a flag
    """Send messages through a server, a fake chat API, a Celery worker and two concurrent producers.

    Exit 0 only if the fake API's record says that every message arrived once and in order while 5 % of the pushes
    failed. To see that it would notice errors, `--sabotage swallow` makes the fake API lose one message and `--sabotage
    swap` makes it swap two: the demo then exits 1.
    """
    console = Console(stderr=True, markup=False, highlight=False)
    child_processes.end_on_sigterm()
    with stage(sabotage, lambda line: console.print(line, soft_wrap=True), flower=flower) as running:
        load = Load(running.redis_url, Plan(CHANNEL, messages, rooms))
        finished = _run(running, load, console)
        verdict, problems = _judge(running, load)
        Console(markup=False, highlight=False).print(_table(verdict))
        if not finished:
            problems = [f"the queue was not emptied: no progress for {STALLED_S:g} s", *problems]
        if running.flower_url is not None:
            console.print(f"Flower shows the drains at {running.flower_url}; end with Ctrl-C", soft_wrap=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
        if problems:
            raise Failed(f"the demo failed: {'; '.join(problems)}")


def _run(running: Stage, load: Load, console: Console) -> bool:
    """Enqueues, and waits until the queue is done with every message: what is missing then will not arrive."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Inspector(running.redis_url) as inspector, Progress(*columns, console=console) as progress:
        enqueued = progress.add_task("enqueued by two producers", total=load.plan.messages)
        delivered = progress.add_task("delivered to the fake API", total=load.plan.messages)
        seen, changed_at = (0, 0), time.monotonic()
        load.start()
        try:
            while True:
                # In this order: once all are accepted, an empty queue is the end.
                done = load.done()
                overview = inspector.overview(CHANNEL)
                if overview is None:
                    raise Failed(f"channel {CHANNEL} is gone from Redis")
                progress.update(enqueued, completed=load.accepted)
                progress.update(delivered, completed=overview.delivered)
                if done and overview.depth == 0 and overview.leased == 0:
                    return True
                now = (load.accepted, overview.depth)
                if now != seen:
                    seen, changed_at = now, time.monotonic()
                if time.monotonic() - changed_at > STALLED_S:
                    return False
                running.check()
                time.sleep(POLL_S)
        finally:
            load.stop()


def _judge(running: Stage, load: Load) -> tuple[Verdict, list[str]]:
    with Inspector(running.redis_url) as inspector:
        overview = inspector.overview(CHANNEL)
    arrivals = {room: running.api.texts(room) for room in running.api.rooms()}
    dead_letters = overview.dead_letters if overview else 0
    verdict = judge(load.receipts(), arrivals, running.api.record(), dead_letters)
    problems = verdict.problems()
    if verdict.accepted < load.plan.messages:
        problems.insert(0, f"only {verdict.accepted:,} of {load.plan.messages:,} messages were accepted")
    return verdict, problems


def _table(verdict: Verdict) -> Table:
    title = "What the fake API's record says"
    table = Table("", Column(justify="right"), title=title, title_justify="left", show_header=False)
    for name, value in verdict.rows().items():
        table.add_row(name, value)
    return table
