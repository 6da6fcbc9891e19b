"""Loops that call: as often as they can, or at a pace. Only the standard library: peers use it too."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_S: Final = 0.2
MEASURED_S: Final = 0.8
PERIOD_S: Final = 0.05


def rate(call: Callable[[int], None]) -> float:
    """Calls a second; the call gets its number."""
    number, warm_until = 0, time.perf_counter() + WARM_S
    while time.perf_counter() < warm_until:
        call(number)
        number += 1
    first, started = number, time.perf_counter()
    while (took := time.perf_counter() - started) < MEASURED_S:
        call(number)
        number += 1
    return (number - first) / took


def pace(send: Callable[[str], None], messages: int) -> None:
    """Sends texts that say when, one each 50 ms: give or take 10, so as not to beat with anything that is periodic."""
    due = time.perf_counter()
    for _ in range(messages):
        time.sleep(max(0.0, due - time.perf_counter()))
        send(f"sent={time.monotonic_ns()}")
        due += PERIOD_S + random.uniform(-0.01, 0.01)  # noqa: S311 - no secret
