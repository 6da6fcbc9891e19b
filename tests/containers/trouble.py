"""What happens to the containers while messages flow: each step waits until all is well again."""

import time

from containers.docker import Compose, execute, health, inspect, run
from containers.report import Report
from containers.traffic import Traffic

FLOW = 2000
"""Messages between two steps."""


class Trouble:
    """Kills, stops and restarts."""

    def __init__(self, report: Report, compose: Compose, traffic: Traffic) -> None:
        self._report = report
        self._compose = compose
        self._traffic = traffic

    def flow(self) -> None:
        """Lets messages through."""
        before = self._traffic.accepted
        self._report.until(
            lambda: self._traffic.accepted > before + FLOW or self._traffic.refused,
            f"{FLOW} more messages were accepted",
        )

    def crash(self, service: str) -> None:
        """All processes of a container die, as when memory runs out; Docker starts it again."""
        name = self._busiest(service)
        restarts = inspect(name)["RestartCount"]
        self._report.say(f"SIGKILL to all of {name}")
        execute(name, "kill -KILL -1", ok=False)
        self._report.until(lambda: inspect(name)["RestartCount"] > restarts, f"Docker has restarted {name}")
        self._healthy([name])

    def stop(self, service: str) -> None:
        """SIGTERM, and a new start."""
        name = self._busiest(service)
        end(self._report, name)
        run("docker", "start", name)
        self._healthy([name])

    def restart(self, service: str) -> None:
        """As an upgrade of its image does."""
        self._report.say(f"restart of {service}")
        self._compose("restart", service)
        self._healthy(self._compose.containers(service))

    def scale(self, workers: int) -> None:
        """More workers, or fewer."""
        self._compose.scale(workers)
        self._healthy(self._compose.containers("worker"))

    def _busiest(self, service: str) -> str:
        """The container that logged last: a channel's drains are one worker's for a slice, then perhaps another's."""
        names = self._compose.containers(service)
        lines = {name: run("sh", "-c", f"docker logs --timestamps --tail 1 {name} 2>&1") for name in names}
        return max(names, key=lines.__getitem__)

    def _healthy(self, names: list[str]) -> None:
        word = ", ".join(names)
        self._report.until(lambda: {health(name) for name in names} == {"healthy"}, f"{word} healthy")


def end(report: Report, name: str) -> None:
    """SIGTERM to a container, and how it ends."""
    started = time.monotonic()
    run("docker", "stop", name)
    took_s = time.monotonic() - started
    code = inspect(name)["State"]["ExitCode"]
    report.check(code == 0, f"SIGTERM: {name} ended with exit code {code} after {took_s:.1f} s")
