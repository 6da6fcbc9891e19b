"""The ``pushlane`` command.

::

    program    the group, which loads a command's module when it is called
    commands   every command's name; what can be said without the extras
    ending     how a command that went wrong ends: one line, one exit code
    queue      where the queue is, for the commands that need no channel's settings
    printing   what goes to standard output
    terminal   what fits a terminal of 80 columns
    progress   the bar on standard error
    selection  which dead letters a command means
    preview    what a replay or a purge would do
    when       times on the command line
    children   processes of our own that die with us
    lines      messages out of a file of JSON lines
    trial      one signed question to a callback that runs
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

from pushlane_worker.cli.commands import EXTRAS, without_extras

_OURS = {"pushlane", "pushlane_worker"}


def main() -> NoReturn:
    """Runs the command line and ends the process: 0 done, 2 nothing was attempted, 1 attempted and failed."""
    try:
        from pushlane_worker.cli.program import run  # noqa: PLC0415 - without the extra its imports fail

        code = run()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS:
            raise
        code = _end_without(missing, sys.argv[1:])
    sys.exit(code)


def _end_without(missing: str, arguments: Sequence[str]) -> int:
    if said := without_extras(arguments):
        sys.stdout.write(f"{said}\n")
        return 0
    extra = EXTRAS.get(arguments[0], "worker") if arguments else "worker"
    sys.stderr.write(f"pushlane: {missing} is not installed: run `pip install 'pushlane[{extra}]'`\n")
    return 2
