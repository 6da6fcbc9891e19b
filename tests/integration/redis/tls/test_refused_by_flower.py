"""What Flower says of a broker that TLS must not talk to. It knows no state."""

import re
from collections import Counter
from pathlib import Path

import httpx
import pytest
from support.flower import flower
from support.stack import FakeApi, Stack
from support.tls import FAULTS, PASSWORD, Secured
from support.waiting import wait_until


@pytest.mark.long
def test_flower_says_it_once(refused: Secured, fault: str, api: FakeApi, tmp_path: Path, redis_url: str) -> None:
    """Each way to say it appears once, at however many tries, with no traceback and no password."""
    stack = Stack(redis_url, api, tmp_path, {"PUSHLANE_BROKER_URL": refused.url})
    log = tmp_path / "flower.log"
    with flower(stack) as url:
        wait_until(lambda: "TLS: " in log.read_text(), "the first line")
        for _ in range(3):
            assert PASSWORD not in httpx.get(f"{url}/broker").text
        wait_until(lambda: refused.server.accepted > 20, "more tries", 60)
        lines = log.read_text().splitlines()
    told = [line for line in lines if re.match(r"\[[EW] ", line)]
    assert FAULTS[fault].format(refused.where) in told[0]
    # Its page of the broker connects by itself, in redis-py's words. A reset may swallow the server's own.
    assert len(told) <= (6 if fault == "no client certificate" else 2), told
    assert max(Counter(line.partition("] ")[2] for line in told).values()) == 1
    assert not [line for line in lines if "Traceback" in line or PASSWORD in line]
