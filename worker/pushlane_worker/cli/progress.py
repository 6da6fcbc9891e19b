"""The progress bar that a long command shows on standard error."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


def progress_bar() -> Progress:
    """One bar per task; nothing if standard error is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # In a file a bar would only be noise around the one line of an error.
    return Progress(*columns, console=console, disable=not console.is_terminal)
