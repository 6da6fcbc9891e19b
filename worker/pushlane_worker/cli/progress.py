"""The bar on standard error that a long command shows in a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar a task; where standard error is no terminal, nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Into a file a bar would leave only noise beside the one line of an error.
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
