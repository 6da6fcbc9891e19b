"""What makes a container unhealthy: what hangs, and not what waits for Redis."""

from containers.docker import Compose, execute, health
from containers.report import Report

PATIENCE_S = 120
"""A pool process counts as late after 10 s, and the heartbeat as old after 15 s more; then three checks must fail."""


def look(report: Report, compose: Compose) -> None:
    """Freezes a pool process of one worker, and everything in each other container but the remaining workers'."""
    frozen, *others = compose.containers("worker")
    child = execute(frozen, "ls /tmp/heartbeat.* | head -1").rpartition(".")[2]
    hang = [frozen, *compose.containers("redis", "callback", "flower", "fake-api")]
    for name in hang:
        report.say(f"SIGSTOP to {f'pool process {child}' if name == frozen else 'all'} of {name}")
        execute(name, f"kill -STOP {child if name == frozen else '-1'}")
    for name in hang:
        _wait(report, name, "unhealthy")
    states = {health(name) for name in others}
    report.check(states == {"healthy"}, f"{', '.join(others)}, for which Redis did not answer: {', '.join(states)}")
    for name in hang:
        execute(name, f"kill -CONT {child if name == frozen else '-1'}")
    for name in hang:
        _wait(report, name, "healthy")


def _wait(report: Report, name: str, state: str) -> None:
    report.until(lambda: health(name) == state, f"{name} {state}", PATIENCE_S)
