"""What operators do to a channel, through the scripts of a real server."""

import pytest
from redis import Redis, ResponseError
from support.producers import everything
from support.queue import Queue, settle

from pushlane import InvalidMessage, UnknownChannel
from pushlane.operators.actions import RUN_KEPT_S, Operator, Skipped
from pushlane.operators.dead_letters import Selection
from pushlane.operators.inspection import Inspector
from pushlane.outcome import Outcome


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """The channel ``support`` with room for 250 messages."""
    return Queue(redis, batch_limit=1000, max_queued=250)


@pytest.fixture
def operator(redis_url: str) -> Operator:
    """An operator of the test's server."""
    return Operator(redis_url, by="a test")


def kill(queue: Queue, *ids: str) -> dict[str, int]:
    """Makes dead letters of one conversation; their ids with their acceptance numbers."""
    queue.enqueue("room", *ids)
    (taken,) = queue.turn().claims
    # Their budget is spent; so many rejections at once would be taken for the channel's fault.
    queue.turn(settle(taken, Outcome.FAILED, dead="1" * len(ids), reason="r"))
    return {one: queue.header(one).sequence for one in ids}


def test_a_pause_changes_once(queue: Queue, operator: Operator) -> None:
    """So does its end."""
    assert [operator.pause("support"), operator.pause("support")] == [True, False]
    assert [operator.resume("support"), operator.resume("support")] == [True, False]
    assert "paused" not in queue.gate()


def test_a_skip_says_what_it_did(queue: Queue, operator: Operator) -> None:
    """The head's id, or why not."""
    queue.enqueue("room", "a", "b")
    assert operator.skip("support", "room") == Skipped("not_blocked")
    (taken,) = queue.turn().claims
    queue.turn(settle(taken, Outcome.FAILED, wait_ms=60_000, dead="00"))
    assert operator.skip("support", "room") == Skipped("skipped", "a")
    assert queue.waiting("room") == "b"


def test_a_purge_counts_dead_letters_only(queue: Queue, operator: Operator) -> None:
    """More than a call of the script takes, with ids of nothing and of the living between them."""
    letters = kill(queue, *(f"m{n}" for n in range(230)))
    queue.enqueue("room", "lives")
    assert operator.purge("support", [*letters, "nosuch", "lives"]) == 230
    assert operator.purge("support", list(letters)) == 0
    assert operator.purge("support", []) == 0


@pytest.mark.single_server("it fills its memory")
def test_a_full_redis_shows_a_dead_letter_and_lets_it_be_purged(
    queue: Queue, redis_url: str, operator: Operator
) -> None:
    """Purging is what helps then."""
    kill(queue, "a")
    queue.redis.config_set("maxmemory", 1)
    try:
        with Inspector(redis_url) as inspector:
            assert inspector.dead_letters("support").payload("a") is not None
        assert operator.purge("support", ["a"]) == 1
    finally:
        queue.redis.config_set("maxmemory", 0)


def test_a_replay_runs_until_nothing_is_left(queue: Queue, operator: Operator, redis: Redis) -> None:
    """Its zset expires by itself should nobody go on with it, and is gone at the end."""
    letters = kill(queue, *(f"m{n}" for n in range(230)))
    with operator.replay("support") as run:
        run.add(dict(list(letters.items())[120:]))
        run.add(letters)
        run.add({})
        assert (run.gathered, run.left) == (230, 230)
        (key,) = redis.keys(f"{queue.prefix}replay:*")
        assert 0 < redis.ttl(key) <= RUN_KEPT_S
        assert list(run.steps()) == [200, 30]
        assert (run.replayed, run.left, run.full) == (230, 0, False)
    assert queue.waiting("room").split() == list(letters)
    assert redis.keys(f"{queue.prefix}replay:*") == []


def test_a_replay_stops_at_a_full_channel(queue: Queue, operator: Operator, redis: Redis) -> None:
    """What is left stays dead, and the run is gone all the same."""
    letters = kill(queue, *(f"m{n}" for n in range(230)))
    queue.enqueue("other", *(f"o{n}" for n in range(40)))
    with operator.replay("support") as run:
        run.add(letters)
        list(run.steps())
    assert (run.replayed, run.left, run.full) == (210, 20, True)
    assert redis.zcard(f"{queue.prefix}dead") == 20
    assert redis.keys(f"{queue.prefix}replay:*") == []


def test_what_was_purged_meanwhile_is_not_counted_as_replayed(queue: Queue, operator: Operator) -> None:
    """The script has the last word."""
    letters = kill(queue, "a", "b", "c")
    with operator.replay("support") as run:
        run.add(letters)
        operator.purge("support", ["b"])
        assert list(run.steps()) == [3]
    assert (run.replayed, run.left) == (2, 0)


def test_a_run_that_breaks_off_leaves_no_key(queue: Queue, operator: Operator, redis: Redis) -> None:
    """Whatever ends it; its dead letters stay what they are."""
    letters = kill(queue, "a", "b")

    def break_off() -> None:
        with operator.replay("support") as run:
            run.add(letters)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert redis.keys(f"{queue.prefix}replay:*") == []
    assert redis.zcard(f"{queue.prefix}dead") == 2


def test_an_unknown_channel_is_named_and_nothing_written(redis: Redis, redis_url: str) -> None:
    """By each of its methods."""
    with Operator(redis_url, by="a test") as operator:
        for call in (
            lambda: operator.pause("nosuch"),
            lambda: operator.resume("nosuch"),
            lambda: operator.skip("nosuch", "room"),
            lambda: operator.replay("nosuch"),
            lambda: operator.purge("nosuch", ["a"]),
        ):
            with pytest.raises(UnknownChannel, match="'nosuch'"):
                call()
        with pytest.raises(InvalidMessage, match="channel"):
            operator.pause("No}such")
    assert everything(redis) == {}


def test_an_error_of_the_server_is_not_swallowed(queue: Queue, operator: Operator, redis: Redis) -> None:
    """A key of the wrong type is a ResponseError of the call that met it."""
    letters = kill(queue, "a")
    redis.set(f"{queue.prefix}counters", "none")
    with operator.replay("support") as run:
        run.add(letters)
        with pytest.raises(ResponseError):
            list(run.steps())
    redis.delete(f"{queue.prefix}counters")


def test_what_died_after_the_look_is_not_on_a_page(queue: Queue, redis_url: str) -> None:
    """So a purge takes nothing that was in no count."""
    kill(queue, "a", "b")
    with Inspector(redis_url) as inspector:
        letters = inspector.dead_letters("support")
        newest = letters.newest()
        queue.now += 1
        kill(queue, "c")
        (page,) = letters.pages(Selection(), newest)
    assert {one.message_id for one in page.letters} == {"a", "b"}
