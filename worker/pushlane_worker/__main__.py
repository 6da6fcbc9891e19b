"""``python -P -m pushlane_worker``: Celery's command line, without importing modules from the working directory.

Celery puts that directory first on the path while it imports an app, so anyone who can write there could replace our
modules. Modules that are already imported cannot be replaced.
"""

from typing import cast

import click
from celery.__main__ import main
from celery.bin.worker import worker

import pushlane_worker.tasks  # noqa: F401 # everything that the app imports
from pushlane.service.printable import one_line

_LOSE_TASKS = {"--purge", "--discard"}
_parse = worker.parse_args


def _parse_args(context: click.Context, words: list[str]) -> list[str]:
    """Parses like Celery, but what is wrong is one line of ours, without a usage that names Celery's command.

    And it suggests no option that deletes waiting tasks to somebody who has mistyped another.
    """
    try:
        return cast("list[str]", _parse(context, words))
    except click.UsageError as error:
        if isinstance(error, click.NoSuchOption):
            close = [one for one in error.possibilities or () if one not in _LOSE_TASKS]
            error = click.NoSuchOption(error.option_name, possibilities=close, ctx=context)
        click.echo(f"pushlane: {one_line(error.format_message())}", err=True)
        context.exit(error.exit_code)


if __name__ == "__main__":
    worker.parse_args = _parse_args
    main()
