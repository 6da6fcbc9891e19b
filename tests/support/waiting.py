"""Waiting for what another process does. The one place where tests sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

POLL_S = 0.02
PATIENCE_S = 30.0
"""For what takes a moment on a quiet machine: a busy one may need ten times as long."""
T = TypeVar("T")


def wait_until(predicate: Callable[[], T], what_for: str, timeout_s: float = PATIENCE_S) -> T:
    """Call ``predicate`` until it gives something true, and return that; fail the test after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (result := predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s in vain for {what_for}", pytrace=True)
        time.sleep(POLL_S)
    return result


async def wait_until_async(predicate: Callable[[], Awaitable[T]], what_for: str, timeout_s: float = PATIENCE_S) -> T:
    """``wait_until`` for a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while not (result := await predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s in vain for {what_for}", pytrace=True)
        await asyncio.sleep(POLL_S)
    return result


def assert_takes(most_s: float, action: Callable[[], object], tries: int = 5) -> None:
    """The action takes no longer than that, in one of a few tries: a busy machine delays some, a defect delays all."""
    took = []
    for _ in range(tries):
        started = time.monotonic()
        action()
        took.append(time.monotonic() - started)
        if took[-1] <= most_s:
            return
    pytest.fail(
        f"took {', '.join(f'{took_s:.2f}' for took_s in took)} s in {tries} tries, and never {most_s:g} s at most"
    )
