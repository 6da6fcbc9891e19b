"""The ``pushlane`` command.

::

    program           the group, which imports a command's module when it is called
    commands          every command's name, and the help without the extras; each has a module of that name
    exit_codes        how a failed command ends: one line, one exit code
    queue             clients of the queue, for commands that need no channel settings
    output            output on standard output: JSON, or lines that fit the terminal
    progress          the progress bar on standard error
    argument_types    what a word on the command line may be
    watch             the live table of `pushlane status --watch`
    completion        the channels' names, when a shell completes a word
    dead_letters      how dead letters are selected and printed
    child_processes   child processes that die with us
    lines             messages from a file of JSON lines
    timeline          a message's timeline as lines
    trial             one signed request to a running callback
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pushlane_worker.cli.commands import EXTRAS, without_extras

_OURS = {"pushlane", "pushlane_worker"}
COMPLETE = "_PUSHLANE_COMPLETE"
"""click's variable: `bash_source` asks for the shell's script, which then asks for completions."""


def main() -> NoReturn:
    """Runs the command line and ends the process: 0 success, 2 nothing was attempted, 1 attempted and failed."""
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
    if os.environ.get(COMPLETE, "").endswith("_complete"):  # a line would be in the middle of what the user types
        return 1
    if text := without_extras(arguments):
        (sys.stdout if arguments else sys.stderr).write(f"{text}\n")
        return 0 if arguments else 2
    extra = EXTRAS.get(arguments[0], "worker")
    sys.stderr.write(f"pushlane: {missing} is not installed: run `pip install 'pushlane[{extra}]'`\n")
    return 2
