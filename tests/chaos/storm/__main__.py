"""``make chaos``: one storm, its figures and its verdict; exit 0 when no judge found anything, else 1."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import click
from chaos.storm import plan, report
from chaos.storm.gather import gather
from chaos.storm.judge import judge
from chaos.storm.options import SendOptions
from chaos.storm.sabotage import DEFECTS
from chaos.storm.server import BUILT_IN
from chaos.storm.storm import run

KEPT = Path(".chaos").resolve()


@click.command()
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1), help="How long faults strike.")
@click.option("--seed", default=1, show_default=True, help="The plan comes from it alone.")
@click.option("--mix", default="all", show_default=True, type=click.Choice(plan.MIXES), help="Which faults.")
@click.option("--on-unknown", default="retry", show_default=True, type=click.Choice(["retry", "dead_letter"]))
@click.option("--server", default=BUILT_IN, show_default=True, help=f"{BUILT_IN}, or a redis-server on the PATH.")
@click.option("--per-second", default=120.0, show_default=True, help="Messages that the producers ask for.")
@click.option("--sabotage", type=click.Choice(list(DEFECTS)), help="Put a defect in, which must be found.")
@click.option("--judge", "folder", type=click.Path(path_type=Path), help="Judge the evidence of a former storm again.")
def main(
    seconds: float,
    seed: int,
    mix: str,
    on_unknown: Literal["retry", "dead_letter"],
    server: str,
    per_second: float,
    sabotage: str | None,
    folder: Path | None,
) -> None:
    """Let a storm of faults rage over three workers, and judge what the queue made of it."""
    if folder is not None:
        evidence = gather(folder)
        problems = judge(evidence)
    else:
        options = SendOptions(seconds, seed, mix, on_unknown, server, sabotage, per_second)
        KEPT.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{time.strftime('%H%M%S')}-seed{seed}-", dir=KEPT)) / "evidence"
        click.echo(f"seed {seed}, mix {mix}, {seconds:g} s, ON_UNKNOWN={on_unknown}, {server}; evidence in {folder}")
        click.echo(f"plan           {plan.summary(plan.draw(seed, seconds, mix))}")
        evidence, problems = run(options, folder)
    for line in report.figures(evidence):
        click.echo(line)
    for line in report.verdict(problems):
        click.echo(line)
    click.echo(f"verdict: {'FAILED: ' + ', '.join(problems) if problems else 'nothing found'}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
