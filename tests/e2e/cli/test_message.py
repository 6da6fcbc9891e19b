"""How `pushlane message` shows the timeline of one message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.channels import push
from support.command import pushlane
from support.shell import send, show
from support.stack import Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane.outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path


def test_a_message_that_was_retried_twice_tells_of_each_push(redis_url: str, tmp_path: Path) -> None:
    """With a real worker and the fake API: accepted, two failures with the API's answer, the delivery."""
    with fake_api(fail={"status": 503, "times": 2}) as api:
        stack = Stack(redis_url, api, tmp_path, channel_settings(api.url, backoff_base_s=0.05))
        try:
            stack.worker("-c", "1").ready()
            message_id = send(redis_url, "r", "a secret")["message_id"]
            wait_until(lambda: show(redis_url, "message", "support", message_id)["state"] == "delivered", "delivery")
        finally:
            stack.close()
    fields = show(redis_url, "message", "support", message_id)
    assert [(one["number"], one["outcome"], one["position"], one["size"]) for one in fields["pushes"]] == [
        (1, "failed", 1, 1),
        (2, "failed", 1, 1),
        (3, "delivered", 1, 1),
    ]
    assert fields["pushes_cut"] is False
    out = pushlane("message", "support", message_id, redis_url=redis_url).ok()
    head, _, told = out.partition("timeline:\n")
    assert re.search(r"^attempts: +3$", head, re.MULTILINE)
    assert "pushes" not in head
    patterns = (
        r"accepted",
        r"push 1    position 1 of 1    failed         +\d+ ms  \S.*503.*",
        r"push 2    position 1 of 1    failed         +\d+ ms  \S.*503.*",
        r"push 3    position 1 of 1    delivered      +\d+ ms  HTTP 200, code 0",
        r"delivered",
    )
    lines = told.splitlines()
    assert len(lines) == len(patterns), told
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(rf"  \d{{4}}-\d\d-\d\dT[\d:.]+Z  {pattern}", line)
    assert "secret" not in out


def test_a_detail_controls_no_terminal(support: str) -> None:
    """It is the API's text."""
    message_id = send(support, "r")["message_id"]
    push(support, Outcome.FAILED, dead="0", detail="\x1b[2Jbad\nnext")
    out = pushlane("message", "support", message_id, redis_url=support).ok()
    assert r"\x1b[2Jbad\nnext" in out
