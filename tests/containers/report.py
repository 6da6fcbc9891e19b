"""What a run says: a line for each step and each check, with the time since the start."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.5
"""A question to Docker starts a process."""
T = TypeVar("T")


class Unmet(Exception):  # the condition was not met
    """A condition was awaited in vain, so that the run cannot go on."""


class Report:
    """Prints as it goes, and remembers what failed."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.failed: list[str] = []

    def say(self, text: str) -> None:
        """A line."""
        print(f"{time.monotonic() - self._started:6.1f} s  {text}", flush=True)  # noqa: T201 # the command's output

    def check(self, holds: bool, what: str) -> None:  # noqa: FBT001 # the point of it
        """A promise, and whether it holds."""
        self.say(f"{'ok    ' if holds else 'FAILED'}  {what}")
        if not holds:
            self.failed.append(what)

    def until(self, predicate: Callable[[], T], what_for: str, timeout_s: float = 90) -> T:
        """Waits for something true and returns it. Raises Unmet."""
        started = time.monotonic()
        while not (result := predicate()):
            if time.monotonic() - started > timeout_s:
                raise Unmet(f"waited {timeout_s:g} s in vain for {what_for}")
            time.sleep(POLL_S)
        self.say(f"{time.monotonic() - started:5.1f} s until {what_for}")
        return result
