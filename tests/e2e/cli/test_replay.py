"""How `pushlane dead replay` and `pushlane dead purge` take dead letters, and what `--dry-run` shows of them."""

import json
import os
import pty
import subprocess
from collections.abc import Sequence

import pytest
from redis import Redis
from support.command import Ended, pushlane
from support.processes import environment, installed
from support.producers import bytes_of, everything
from support.queue import Queue, settle

from pushlane.keys import channel_prefix
from pushlane.outcome import Outcome


@pytest.fixture
def queue(redis: Redis) -> Queue:
    """Dead letters a1 to a3 and b1 to b3, accepted in turns, the second ones rejected, the rest unknown."""
    queue = Queue(redis)
    for n in (1, 2, 3):
        for room in "ab":
            kill(queue, room, f"{room}{n}", reason="r" if n == 2 else "u")
    return queue


def kill(queue: Queue, room: str, *ids: str, reason: str = "r") -> None:
    """Makes these messages and lets them die."""
    queue.enqueue(room, *ids)
    for taken in queue.turn().claims:
        queue.turn(settle(taken, Outcome.UNKNOWN, dead="1" * len(taken.message_ids), reason=reason))


def dead(redis: Redis) -> set[str]:
    """The ids of the dead letters."""
    return {bytes_of(one).decode() for one in redis.zrange(f"{channel_prefix('support')}dead", 0, -1)}


def asked(url: str, answer: bytes, *words: str) -> Ended:
    """The command in front of a terminal on which somebody types this."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        command = [installed("pushlane"), *words]
        env = environment(PUSHLANE_REDIS_URL=url)
        return Ended(subprocess.run(command, stdin=theirs, env=env, cwd="/", capture_output=True, check=False))
    finally:
        os.close(ours)
        os.close(theirs)


SELECTIONS = [
    (["b3", "a1", "b3"], "a1 b3"),
    (["--conversation", "a"], "a1 a2 a3"),
    (["--reason", "rejected"], "a2 b2"),
    (["--conversation", "b", "--reason", "unknown"], "b1 b3"),
    (["--all"], "a1 a2 a3 b1 b2 b3"),
    (["--conversation", "c"], ""),
]


@pytest.mark.parametrize(("words", "ids"), SELECTIONS, ids=[" ".join(words) for words, _ in SELECTIONS])
def test_dead_letters_that_are_meant_are_queued_again(
    words: list[str], ids: str, queue: Queue, redis: Redis, redis_url: str
) -> None:
    """By id, conversation, reason or all, and no others; no trace of the run is left."""
    before = dead(redis)
    meant = set(ids.split())
    out = pushlane("dead", "replay", "support", *words, redis_url=redis_url).ok()
    assert out == f"{len(meant)} dead letters of support are queued again\n"
    assert dead(redis) == before - meant
    assert {one: queue.header(one).state for one in before} == {
        one: "queued" if one in meant else "dead" for one in before
    }
    assert redis.keys(f"{queue.prefix}replay:*") == []
    assert queue.counters()["depth"] == len(meant)


def test_replayed_messages_come_back_in_their_old_order(redis: Redis, redis_url: str) -> None:
    """Also 1,500 of them that died in another order: same ids, no attempts, behind what waits."""
    queue = Queue(redis, max_queued=5000, batch_limit=2000)
    ids = [f"m{n * 7919 % 1500:04}" for n in range(1500)]
    kill(queue, "r", *ids)
    queue.enqueue("r", "waits")
    out = pushlane("dead", "replay", "support", "--all", "--json", redis_url=redis_url).ok()
    assert json.loads(out) == {"channel": "support", "replayed": 1500, "left": 0, "absent": []}
    assert queue.waiting("r").split() == ["waits", *ids]
    assert {queue.header(one).attempts for one in ids} == {0}


def test_what_a_full_channel_does_not_take_stays_dead(redis: Redis, redis_url: str) -> None:
    """The oldest go first; both numbers are shown, on one line and as JSON."""
    queue = Queue(redis, max_queued=3)
    for n in range(5):
        kill(queue, "r", f"m{n}")
    queue.enqueue("r", "waits")
    ended = pushlane("dead", "replay", "support", "--all", "--json", redis_url=redis_url)
    assert (ended.code, json.loads(ended.out)["replayed"], json.loads(ended.out)["left"]) == (1, 2, 3), ended
    assert "'support' is full" in ended.err
    assert "2 dead letters are queued again, 3 stay dead letters" in ended.err
    assert ended.err.count("\n") == 1
    assert dead(redis) == {"m2", "m3", "m4"}
    assert redis.keys(f"{queue.prefix}replay:*") == []
    pushlane("dead", "replay", "support", "--all", redis_url=redis_url).refused(1, "0 dead letters", "3 stay")


@pytest.mark.parametrize("command", ["replay", "purge"])
def test_an_id_that_is_no_dead_letter_is_named(command: str, queue: Queue, redis: Redis, redis_url: str) -> None:
    """The others are taken all the same, and the exit code is 1."""
    queue.enqueue("c", "lives")
    words = ("dead", command, "support", "a1", "nosuch", "lives", *(["--yes"] if command == "purge" else []))
    ended = pushlane(*words, redis_url=redis_url)
    assert ended.code == 1
    assert ended.out.startswith("1 dead letter of support is ")
    assert ended.err == "pushlane: not among the dead letters of channel 'support': nosuch, lives\n"
    assert "a1" not in dead(redis)


@pytest.mark.parametrize("command", ["replay", "purge"])
@pytest.mark.usefixtures("queue")
def test_a_dry_run_writes_nothing(command: str, redis: Redis, redis_url: str) -> None:
    """Not even a key that expires; it tells how many, why they died, and the first ones in their order."""
    redis.delete(f"{channel_prefix('support')}pending")  # it expires after 10 s, which a busy machine needs for this
    before = everything(redis)
    words = ("dead", command, "support", "--all", "--dry-run")
    lines = pushlane(*words, redis_url=redis_url).ok().splitlines()
    done = {"replay": "queued again", "purge": "purged"}[command]
    assert lines[0] == f"6 dead letters of support would be {done}: 4 unknown, 2 rejected"
    document = json.loads(pushlane(*words, "--json", redis_url=redis_url).ok())
    assert (document["matching"], document["reasons"]) == (6, {"unknown": 4, "rejected": 2})
    assert [one["message_id"] for one in document["first"]] == ["a1", "b1", "a2", "b2", "a3", "b3"]
    assert [line.split()[0] for line in lines[1::3]] == ["a1", "b1", "a2", "b2", "a3", "b3"]
    assert everything(redis) == before


def test_a_dry_run_shows_the_first_twenty(redis: Redis, redis_url: str) -> None:
    """By their acceptance numbers, whatever order they are found in; the others are a number."""
    queue = Queue(redis, batch_limit=500)
    ids = [f"m{n * 7 % 300:03}" for n in range(300)]
    kill(queue, "r", *ids)
    out = pushlane("dead", "replay", "support", "--all", "--dry-run", redis_url=redis_url).ok().splitlines()
    assert [line.split()[0] for line in out[1:-1:3]] == ids[:20]
    assert out[-1] == "\u2026 and 280 more"


@pytest.mark.parametrize(("words", "ids"), SELECTIONS, ids=[" ".join(words) for words, _ in SELECTIONS])
def test_dead_letters_that_are_meant_are_purged(
    words: list[str], ids: str, queue: Queue, redis: Redis, redis_url: str
) -> None:
    """The same selections; what they said is gone, what became of them is not."""
    before, meant = dead(redis), set(ids.split())
    out = pushlane("dead", "purge", "support", "--yes", *words, redis_url=redis_url).ok()
    assert out == f"{len(meant)} dead letters of support are purged\n"
    assert dead(redis) == before - meant
    queue.follow_the_server()
    assert all(queue.header(one).state == "dead" for one in before)


def test_450_dead_letters_are_purged(redis: Redis, redis_url: str) -> None:
    """More than one call of the script takes."""
    queue = Queue(redis, batch_limit=1000)
    kill(queue, "r", *(f"m{n}" for n in range(450)))
    out = pushlane("dead", "purge", "support", "--all", "--yes", "--json", redis_url=redis_url).ok()
    assert json.loads(out) == {"channel": "support", "purged": 450, "absent": []}
    assert dead(redis) == set()


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 0), (b"YES\n", 0), (b"n\n", 6), (b"\n", 6), (b"\x04", 6)])
@pytest.mark.usefixtures("queue")
def test_a_purge_asks(answer: bytes, left: int, redis: Redis, redis_url: str) -> None:
    """On standard error, with the number; anything but a yes leaves everything as it was, with exit code 1."""
    ended = asked(redis_url, answer, "dead", "purge", "support", "--all")
    assert ended.err.startswith("Purge 6 dead letters of support for good? [y/N] ")
    assert len(dead(redis)) == left
    assert ended.code == (1 if left else 0)
    assert ended.out == ("" if left else "6 dead letters of support are purged\n")


@pytest.mark.parametrize("words", [["--conversation", "nosuch"], ["a9"]], ids=" ".join)
@pytest.mark.usefixtures("queue")
def test_a_purge_of_nothing_does_not_ask(words: Sequence[str], redis: Redis, redis_url: str) -> None:
    """There is nothing to lose."""
    assert "?" not in asked(redis_url, b"", "dead", "purge", "support", *words).err
    assert len(dead(redis)) == 6


@pytest.mark.usefixtures("queue")
def test_a_terminal_shows_how_far_a_replay_is(redis_url: str) -> None:
    """The bar is on standard error; standard output has the result alone."""
    ours, theirs = pty.openpty()
    command = [installed("pushlane"), "dead", "replay", "support", "--all"]
    env = environment(PUSHLANE_REDIS_URL=redis_url, TERM="xterm")
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=env, check=False
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert ended.stdout == b"6 dead letters of support are queued again\n"
    assert "replaying" in shown
    assert "6/6" in shown
