"""Waiting for what another process does. The one place where tests sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

POLL_S = 0.02
T = TypeVar("T")


def wait_until(predicate: Callable[[], T], what_for: str, timeout_s: float = 10) -> T:
    """Call ``predicate`` until it gives something true, and return that; fail the test after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (result := predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s in vain for {what_for}", pytrace=True)
        time.sleep(POLL_S)
    return result


async def wait_until_async(predicate: Callable[[], Awaitable[T]], what_for: str, timeout_s: float = 10) -> T:
    """``wait_until`` for a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while not (result := await predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s in vain for {what_for}", pytrace=True)
        await asyncio.sleep(POLL_S)
    return result
