"""The fake API's record against what the callback has accepted."""

import json

from containers.docker import Compose, execute
from containers.report import Report

from pushlane_worker.fake_api.client import FakeApiClient

MOST_PER_PUSH = 10


def judge(report: Report, compose: Compose, accepted: int) -> None:
    """Waits until everything has arrived, and counts what arrived twice or out of order."""
    api = FakeApiClient(compose.address("fake-api", 8400))
    report.until(lambda: api.record().distinct >= accepted, f"all {accepted:,} accepted messages arrived", 180)
    record = api.record()
    status = json.loads(execute(compose.containers("worker")[0], "pushlane status demo --json"))["channels"][0]
    report.check(record.distinct == accepted, f"{record.distinct:,} messages of {accepted:,} arrived")
    report.check(record.order_breaks == 0, f"{record.order_breaks} of them out of order, in {record.rooms} rooms")
    unknown = status["unknown_pushes"]
    report.check(
        record.duplicates <= unknown * MOST_PER_PUSH,
        f"{record.duplicates} duplicates; {unknown} pushes of unknown outcome are listed",
    )
    report.check(
        (status["depth"], status["dead_letters"]) == (0, 0),
        f"{status['depth']} wait, {status['dead_letters']} dead letters",
    )
    report.say(f"{record.pushes:,} pushes, {record.accepted / record.accepted_pushes:.1f} messages each")
