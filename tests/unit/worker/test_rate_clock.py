"""What a process knows of the rate window's clock: never less than it shows, and hardly more."""

from hypothesis import given
from hypothesis import strategies as st

from pushlane_worker.queue.rate_clock import RateClock

OFFSET_MS = 1_700_000_000_000
CALLS = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=20)
"""Of each call: how long after the one before, how long it takes until the server looks at its clock, and back."""


def test_nothing_is_known_before_the_first_reply() -> None:
    """A process that has just started takes the server's word."""
    assert RateClock().latest(7.0) == ""


@given(CALLS, st.floats(-0.0001, 0.0001))
def test_an_honest_clock_is_never_taken_for_one_that_stepped(
    calls: list[tuple[float, float, float]], drift: float
) -> None:
    """Whatever a call takes on its way back; but for what a request itself is late."""
    clock, now = RateClock(), 1000.0
    for pause, there, back in calls:
        now += pause
        shows = int(OFFSET_MS + now * 1000 * (1 + drift))
        latest = clock.latest(now)
        assert latest == "" or shows <= int(latest)
        sent, looked = now, now + there
        now = looked + back
        clock.saw(int(OFFSET_MS + looked * 1000 * (1 + drift)), sent, now)


def test_a_step_shows_though_calls_are_slow_now_and_then() -> None:
    """The quickest call so far says how late it can be; ten minutes later it is 0.12 s more."""
    clock = RateClock()
    for took in (0.3, 0.001, 0.3):
        clock.saw(OFFSET_MS, 0.0, took) if took > 0.1 else clock.saw(OFFSET_MS + 1, 0.001, took)
    assert OFFSET_MS + 1000 <= int(clock.latest(1.0)) <= OFFSET_MS + 1003
    assert int(clock.latest(601.0)) - OFFSET_MS - 601_000 <= 124


def test_a_clock_that_steps_back_is_followed() -> None:
    """When it steps ahead again, that is a step like any other."""
    clock = RateClock()
    clock.saw(OFFSET_MS, 0.0, 0.001)
    clock.saw(OFFSET_MS - 2000, 0.01, 0.011)
    assert int(clock.latest(0.02)) <= OFFSET_MS - 2000 + 20
