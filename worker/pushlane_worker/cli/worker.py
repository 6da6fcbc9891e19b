"""``pushlane worker``: checks the settings, then becomes a Celery worker."""

import importlib.util
import os
import re
import sys

import click

from pushlane_worker.settings import load_worker_settings

_POOL = re.compile(r"(?:^| )(?:-P ?|--pool[ =])(\S+)")

CELERY = (sys.executable, "-P", "-m", "pushlane_worker", "-A", "pushlane_worker")
"""Celery's command line with our app; see ``__main__.py``."""


def command_line(log_level: str, arguments: tuple[str, ...]) -> list[str]:
    """Celery's worker with our defaults; if an option is given twice, Celery takes the last one, the user's."""
    # Gossip and mingle let workers talk to each other, which ours do not need and which slows their start. Monitors
    # distinguish workers by name; this process becomes the worker and keeps its pid.
    ours = ["--without-gossip", "--without-mingle", "--loglevel", log_level, "--hostname", f"worker-{os.getpid()}@%h"]
    return [*CELERY, "worker", *ours, *arguments]


@click.command("worker", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run a Celery worker that pushes the channels in the settings.

    ARGUMENTS are those of Celery's worker, such as -c 2, --autoscale=4,1 or -Q pushlane: see
    `celery -A pushlane_worker worker --help`. With --metrics-port 9400 it serves /metrics.
    """
    if importlib.util.find_spec("celery") is None:
        raise ModuleNotFoundError(name="celery")
    # For the pools that it refuses Celery patches the process before we could, and fails if they are not installed.
    settings = load_worker_settings(" ".join(_POOL.findall(" ".join(arguments))))
    words = command_line(settings.log_level, arguments)
    os.execv(words[0], words)  # noqa: S606 - no shell
