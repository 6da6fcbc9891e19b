"""Third-party messages through a real worker, to the fake API's address for them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stack import FakeApi, Stack, third_party_settings
from support.waiting import wait_until

from pushlane import Producer, ThirdPartyMessage

USERS = 50


@pytest.fixture
def stack(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """A channel `partner` with short backoff."""
    settings = third_party_settings(api.url, backoff_base_s=0.1, breaker_after=1000)
    stack = Stack(redis_url, api, tmp_path, settings)
    yield stack
    stack.close()


def message(number: int) -> ThirdPartyMessage:
    """One of many, for one of the users in turn."""
    return ThirdPartyMessage(f"u{number % USERS}", {"type": 1, "id": 2**63 + number, "text": f"héllo #{number + 1}"})


def test_each_user_gets_all_in_order_through_errors(stack: Stack, producer: Producer) -> None:
    """With 5 % of 503 every object arrives once, byte for byte, one a push, and in order per user."""
    stack.api.control(fail={"rate": 0.05}, latency_s=0.02)
    stack.worker("-c", "1").ready()
    messages = [message(number) for number in range(1000)]
    producer.send_many("partner", messages)
    stack.wait_for(1000)
    wait_until(lambda: stack.depth("partner") == 0, "the last pushes to be settled")
    summary = stack.record()
    assert summary.by_status.keys() == {200, 503}
    assert (summary.accepted, summary.accepted_pushes, summary.by_status[200]) == (1000, 1000, 1000)
    assert (summary.distinct, summary.duplicates, summary.order_breaks, summary.overlaps) == (1000, 0, 0, 0)
    assert summary.max_in_flight > 1
    for user in range(USERS):
        assert stack.api.texts(f"u{user}") == [one.body.decode() for one in messages[user::USERS]]


def test_one_that_is_refused_dies_alone(stack: Stack, producer: Producer) -> None:
    """Its user's next message goes on, and the dead letter has the address's own words."""
    stack.api.control(reject_text="BAD")
    stack.worker("-c", "1").ready()
    texts = ["one #1", "BAD #2", "three #3"]
    receipts = producer.send_many("partner", [ThirdPartyMessage("u", {"text": text}) for text in texts])
    stack.wait_for(2)
    assert [json.loads(text)["text"] for text in stack.api.texts("u")] == ["one #1", "three #3"]
    stack.wait_for_state(producer, receipts[1], "dead")
    status = producer.status("partner", receipts[1].message_id)
    assert status is not None
    assert (status.reason, status.detail) == ("rejected", "HTTP 400, code 6451000: invalid message")


def test_the_line_of_a_push_has_the_cid_and_not_the_text(stack: Stack, producer: Producer) -> None:
    """The other side finds the request by its own name for it."""
    worker = stack.worker("-c", "1").ready()
    producer.send("partner", ThirdPartyMessage("u", {"text": "a canary"}))
    stack.wait_for(1)
    line = wait_until(lambda: _pushes(worker.log), "the push to be logged")[0]
    for word in ("channel=partner", "conversation=u", "size=1", "outcome=delivered", "cid=fake-api"):
        assert word in line
    assert "canary" not in worker.log.read_text()


def _pushes(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "push.done" in line]
