"""The ``pushlane`` command.

::

    program    the group: every command's name, and the module that is loaded when it is called
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
"""

import sys
from typing import NoReturn

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
        sys.stderr.write(f"pushlane: {missing} is not installed: run `pip install 'pushlane[worker]'`\n")
        code = 2
    sys.exit(code)
