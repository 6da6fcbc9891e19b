"""What a worker says of a state and a broker that TLS must not talk to, and that it goes on once it may."""

import re
from pathlib import Path

import pytest
from support.stack import FakeApi, Stack, channel_settings
from support.tls import FAULTS, PASSWORD, Certificates, Secured, secured
from support.waiting import wait_until

from pushlane_worker.embedded import EmbeddedServer

pytestmark = pytest.mark.single_server("it has TLS in front of one")

QUICK = "expired"
WORKER = [fault if fault == QUICK else pytest.param(fault, marks=pytest.mark.long) for fault in FAULTS]


@pytest.mark.parametrize("fault", WORKER)
def test_a_worker_says_it_once_and_goes_on_when_it_is_mended(
    server: EmbeddedServer,
    refused: Secured,
    certificates: Certificates,
    fault: str,
    login: str,
    api: FakeApi,
    tmp_path: Path,
) -> None:
    """A line at its start, one for the outage of each of the two, none at further tries, no traceback, no password."""
    with secured(server.port, certificates, fault, login) as broker:
        settings = {**channel_settings(api.url), "PUSHLANE_BROKER_URL": broker.url}
        stack = Stack(refused.url, api, tmp_path, settings)
        try:
            worker = stack.worker("-c", "1")
            wait_until(lambda: min(refused.server.accepted, broker.server.accepted) > 5, "more tries")
            log = worker.log.read_text()
            for server_, words in (
                (refused, r"redis\.unavailable "),
                (refused, r"redis\.away "),
                (broker, r"consumer: Cannot connect to rediss://tls:\*\*@"),
            ):
                (line,) = [line for line in log.splitlines() if re.search(words, line)]
                assert FAULTS[fault].format(server_.where) in line
            assert "Traceback" not in log
            assert PASSWORD not in log
            if fault == QUICK:
                refused.server.context = broker.server.context = certificates.context("renewed")
                worker.ready()
                wait_until(lambda: "redis.back" in worker.log.read_text(), "the line of its return")
        finally:
            stack.close()
