"""``make containers``: the image and ``compose.yaml``, built and run for real; exit 0 when all promises hold, else 1.

Exit 2 when there is no Docker. Everything is built and started under names of its own and removed at the end; only the
image ``pushlane-test`` stays.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import click
from containers import hardening, healthiness, image
from containers.docker import Compose, NoDocker, health, inspect, require
from containers.judgement import judge
from containers.project import lay_out
from containers.report import Report, Unmet
from containers.traffic import Traffic
from containers.trouble import Trouble, end

from pushlane_worker.fake_api.client import FakeApiClient

API_LATENCY_S = 0.1
"""So that there are always pushes in flight when something is killed."""
SERVICES = ("redis", "worker", "callback", "flower", "fake-api")


@click.command()
@click.option("--base", metavar="IMAGE", help="The Python image to build on, instead of the Dockerfile's.")
@click.option("--keep", is_flag=True, help="Leave the containers running.")
def main(base: str | None, *, keep: bool) -> None:
    """Run the containers, and print what was seen."""
    report = Report()
    try:
        report.say(require())
    except NoDocker as error:
        sys.stderr.write(f"containers: this needs Docker: {error}\n")
        sys.exit(2)
    with tempfile.TemporaryDirectory() as name:
        compose = Compose(Path(name), "pushlane-test")
        try:
            _run(report, compose, Path(name), base)
        except Unmet as error:
            report.check(False, str(error))  # noqa: FBT003 # it does not hold
            sys.stderr.write(compose("logs", "--tail", "30"))
        except subprocess.CalledProcessError as error:
            report.check(False, str(error))  # noqa: FBT003 # the same
        finally:
            if not keep:
                compose("down", "--volumes", "--timeout", "5")
    report.say(f"verdict: {f'FAILED: {len(report.failed)}' if report.failed else 'all promises hold'}")
    sys.exit(bool(report.failed))


def _run(report: Report, compose: Compose, folder: Path, base: str | None) -> None:
    secrets = lay_out(folder)
    image.build(report, base)
    image.look(report)
    compose("up", "-d", "--no-build", "--scale", "worker=3", *SERVICES)
    report.until(lambda: {health(one) for one in compose.containers()} == {"healthy"}, "every container was healthy")
    hardening.look(report, compose, secrets)
    hardening.look_at_flower(report, compose, secrets)
    FakeApiClient(compose.address("fake-api", 8400)).control(latency_s=API_LATENCY_S)
    with Traffic(compose.address("callback", 8080), secrets.shop_key) as traffic:
        _make_trouble(Trouble(report, compose, traffic))
        traffic.stop()
        report.check(
            not traffic.refused, f"{traffic.repeated} requests were repeated; refused: {traffic.refused or 'none'}"
        )
        judge(report, compose, traffic.accepted)
    healthiness.look(report, compose)
    _run_demo(report, compose)
    for one in (*compose.containers("worker", "callback", "flower", "fake-api"), compose.container("redis")):
        end(report, one)


def _make_trouble(trouble: Trouble) -> None:
    trouble.flow()
    trouble.crash("worker")
    trouble.stop("worker")
    trouble.flow()
    trouble.restart("redis")
    trouble.flow()
    trouble.crash("redis")
    trouble.flow()
    trouble.crash("worker")
    trouble.scale(5)
    trouble.scale(1)
    trouble.flow()
    trouble.scale(3)
    trouble.flow()


def _run_demo(report: Report, compose: Compose) -> None:
    compose("up", "-d", "--no-build", "--no-recreate", "--no-deps", "demo")
    name = compose.container("demo")
    report.until(lambda: not inspect(name)["State"]["Running"], "the demo has ended")
    code = inspect(name)["State"]["ExitCode"]
    report.check(code == 0, f"`docker compose --profile demo up`: exit code {code}")


if __name__ == "__main__":
    main()
