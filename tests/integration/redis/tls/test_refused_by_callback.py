"""What the callback says of a Redis that TLS must not talk to."""

from pathlib import Path

import httpx
import pytest
from support.callback import c2c, callback, moderation
from support.tls import FAULTS, PASSWORD, Secured
from support.waiting import wait_until

CALLBACK = [fault if fault == "expired" else pytest.param(fault, marks=pytest.mark.long) for fault in FAULTS]


@pytest.mark.parametrize("fault", CALLBACK)
def test_the_callback_says_it_once_and_judges_all_the_same(refused: Secured, fault: str, tmp_path: Path) -> None:
    """One line without any request, none at further tries, no traceback, no password."""
    with callback(tmp_path, refused.url, moderation(tmp_path)) as started:
        wait_until(lambda: refused.server.accepted > 4, "more tries")
        lines = started.log.read_text().splitlines()
        (away,) = [line for line in lines if "redis.away" in line]
        assert FAULTS[fault].format(refused.where) in away
        with httpx.Client() as client:
            assert started.ask(client, c2c(1, "casino"))["ErrorCode"] == 1
            assert httpx.get(f"{started.url}/readyz").json() == {"status": "redis is away"}
        wait_until(lambda: "refeed_waits" in started.log.read_text(), "tries for the decision on disk")
        log = started.log.read_text()
    told = [line for line in log.splitlines() if "TLS" in line]
    assert [line.split()[3] for line in told] == ["redis.away", "decision.redis_away", "spool.refeed_waits"]
    assert all(FAULTS[fault].format(refused.where) in line for line in told)
    assert "Traceback" not in log
    assert PASSWORD not in log
