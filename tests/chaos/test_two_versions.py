"""The previous release and this tree on one Redis: a rolling upgrade and the way back, and a step back too early."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from chaos.storm.report import figures, verdict
from chaos.versions.previous import running_from, unpack, was_imported
from chaos.versions.upgrade import run
from support.stack import FakeApi, Stack, channel_settings, fake_api
from support.waiting import wait_until

from pushlane import Hold, Producer, Receipt, RoomMessage
from pushlane.operators.actions import Operator

SECONDS = float(os.environ.get("TWO_VERSIONS_SECONDS", "60"))
"""How long workers are killed; starts and ends come on top."""
SEED = 5
ROOMS = [f"r{number}" for number in range(8)]
PER_ROOM = 5
CONVERSATIONS = len(ROOMS) + 2
SET_ASIDE_S = 60
"""How long an old worker leaves a conversation alone when it cannot read its head."""
LONG_S = 3600


@pytest.mark.long
@pytest.mark.timeout(900)
def test_an_upgrade_and_the_way_back_under_kills_lose_and_reorder_nothing(redis_url: str, tmp_path: Path) -> None:
    """Each message ends as its producer or the API made it; what an old worker registers, a new one registers again."""
    folder = tmp_path / "evidence"
    evidence, problems = run(folder, redis_url, SECONDS, SEED)
    assert not problems, "\n".join([f"see {folder}", *figures(evidence), *verdict(problems)])
    assert evidence.unknown, "nothing was cut or killed in mid-push"
    assert any("channel.registered" in log.read_text() for log in folder.glob("new*.log")), "no record was replaced"
    assert {one.flow for one in evidence.messages.values()} == {"flow-old", "flow-new", "flow-back"}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """One that is well."""
    with fake_api() as api:
        yield api


@pytest.fixture
def new(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """Workers of this tree."""
    stack = Stack(redis_url, api, tmp_path, channel_settings(api.url))
    yield stack
    stack.close()


@pytest.fixture
def old(redis_url: str, api: FakeApi, tmp_path: Path) -> Iterator[Stack]:
    """Workers of the previous release."""
    folder = tmp_path / "old"
    source = unpack(folder / "release")
    stack = Stack(redis_url, api, folder, channel_settings(api.url) | running_from(source))
    yield stack
    stack.close()
    assert was_imported(source, "pushlane_worker.tasks")


def _wait_until_looked_at(producer: Producer, operator: Operator, receipts: Sequence[Receipt]) -> None:
    """Until each room is empty, or listed as one whose head the workers cannot read."""

    def is_looked_at() -> bool:
        listed = {one.conversation for one in operator.blocked("support", CONVERSATIONS) if one.state == "unreadable"}
        return all(one.conversation in listed or Stack.state(producer, one) == "delivered" for one in receipts)

    wait_until(is_looked_at, "the old worker to look at each room")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_step_back_to_the_previous_workers_loses_nothing(redis_url: str, new: Stack, old: Stack) -> None:
    """Of newer messages they deliver what they can read; the rest waits, and newer workers deliver it in order."""
    assert new.worker("-c", "1").ready().stop() == 0
    with Producer(redis_url) as producer, Operator(redis_url, by="a test") as operator:
        plain = [RoomMessage(room, f"hello #{number}") for number in range(PER_ROOM) for room in ROOMS]
        receipts = producer.send_many("support", plain, idempotency_key="plain")
        later = producer.send("support", RoomMessage("later", "hello #1"), not_before=0.5)
        held = producer.send("support", RoomMessage("held", "hello #1"), hold=Hold("key", LONG_S))

        worker = old.worker("-c", "1").ready()
        _wait_until_looked_at(producer, operator, receipts)
        states = [Stack.state(producer, one) for one in receipts]
        assert set(states) <= {"queued", "delivered"}
        arrived = new.api.rooms()
        assert states.count("delivered") == sum(arrived.get(room, 0) for room in ROOMS)
        assert Stack.state(producer, later) in {"scheduled", "queued", "in_flight", "delivered"}
        assert Stack.state(producer, held) == "held"
        assert worker.stop() == 0

        new.worker("-c", "1").ready()
        producer.decide("support", "key", "allow")
        everything = [*receipts, later, held]
        wait_until(lambda: new.record().distinct == len(everything), "everything at the API", 2 * SET_ASIDE_S)
        for receipt in everything:
            new.wait_for_state(producer, receipt, "delivered")
        assert all(one.duplicate for one in producer.send_many("support", plain, idempotency_key="plain"))
    summary = new.record()
    assert (summary.accepted, summary.distinct, summary.order_breaks) == (len(everything), len(everything), 0)
