"""``pushlane demo``: it shows what the queue promises, and would notice if that did not hold."""

import re
import signal
import urllib.request
from pathlib import Path

import pytest
from redis import Redis
from support.command import Ended, pushlane
from support.processes import environment, installed, running
from support.waiting import wait_until

SMALL = ("--messages", "400", "--rooms", "10")


def row(ended: Ended, name: str) -> str:
    """The value of a row of the table."""
    (line,) = [line for line in ended.out.splitlines() if name in line]
    return line.split("│")[2].strip()


def ended(pid: int) -> bool:
    """Whether the process is gone, or waits only for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(text: str) -> list[int]:
    """The processes whose pids the demo has named."""
    return [int(pid) for pid in re.findall(r"pid (\d+)", text)]


def test_the_demo_shows_every_message_once_and_in_order() -> None:
    """2,000 messages, 40 rooms, two producers, 5 % of the pushes failing; the worker is named, and gone at the end."""
    demo = pushlane("demo")
    assert demo.code == 0, demo
    assert (row(demo, "accepted"), row(demo, "delivered")) == ("2,000", "2,000")
    assert (row(demo, "dead letters"), row(demo, "duplicates"), row(demo, "order breaks")) == ("0", "0", "0")
    assert int(row(demo, "retries")) > 0
    assert float(row(demo, "messages a push")) > 1
    assert "celery -A pushlane_worker worker, pid" in demo.err
    assert len(started(demo.err)) == 2
    assert all(map(ended, started(demo.err)))


@pytest.mark.parametrize(
    ("sabotage", "problem"),
    [
        ("swallow", "1 of 400 accepted messages never arrived"),
        pytest.param("swap", "1 arrivals out of the order of Receipt.sequence", marks=pytest.mark.long),
    ],
)
def test_the_demo_notices_sabotage(sabotage: str, problem: str, tmp_path: Path) -> None:
    """An API that loses one message or swaps two makes it exit 1, with a line that says what did not hold."""
    demo = pushlane("demo", *SMALL, "--sabotage", sabotage, settings={"TMPDIR": str(tmp_path)})
    assert demo.code == 1, demo
    *_, last = demo.err.splitlines()
    assert last.startswith("pushlane: the demo failed: ")
    assert problem in last
    logs = Path(last.rpartition(" ")[2])
    assert "ready." in (logs / "worker.log").read_text()


@pytest.mark.long
def test_a_redis_of_the_users_is_not_touched(redis: Redis, redis_url: str) -> None:
    """The demo has a server of its own in any case, and says so."""
    demo = pushlane("demo", *SMALL, redis_url=redis_url)
    assert demo.code == 0, demo
    assert "PUSHLANE_REDIS_URL is not used" in demo.err
    assert redis.dbsize() == 0


def test_the_demos_processes_die_with_it(tmp_path: Path) -> None:
    """Nothing is left behind when it is killed with SIGKILL in mid-run."""
    log = tmp_path / "log"
    words = [installed("pushlane"), "demo", "--messages", "1000000"]
    with running(words, env=environment(TMPDIR=str(tmp_path)), cwd=tmp_path, log=log) as demo:
        wait_until(lambda: len(started(log.read_text())) == 2 or demo.poll() is not None, "its processes", timeout_s=60)
        pids = started(log.read_text())
        assert len(pids) == 2
        assert not any(map(ended, pids))
        demo.kill()
        wait_until(lambda: all(map(ended, pids)), "the end of its processes")


def test_ctrl_c_ends_the_demo_and_what_it_started(tmp_path: Path) -> None:
    """Without a traceback, with the exit code of an interrupted program."""
    log = tmp_path / "log"
    words = [installed("pushlane"), "demo", "--messages", "1000000"]
    with running(words, env=environment(TMPDIR=str(tmp_path)), cwd=tmp_path, log=log) as demo:
        wait_until(lambda: len(started(log.read_text())) == 2, "its processes", timeout_s=60)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130
        assert all(map(ended, started(log.read_text())))
    assert "Traceback" not in log.read_text()


@pytest.mark.long
def test_flower_stays_until_ctrl_c(tmp_path: Path) -> None:
    """Its address is said at the end, it knows the drains of the run, and Ctrl-C ends all with the demo's verdict."""
    log = tmp_path / "log"
    words = [installed("pushlane"), "demo", *SMALL, "--flower"]
    env = environment(FLOWER_UNAUTHENTICATED_API="true", TMPDIR=str(tmp_path))
    with running(words, env=env, cwd=tmp_path, log=log) as demo:

        def address() -> re.Match[str] | None:
            assert demo.poll() is None, log.read_text()
            return re.search(r"Flower shows the drains at (\S+);", log.read_text())

        found = wait_until(address, "the end of the run", timeout_s=90)
        assert found is not None
        with urllib.request.urlopen(f"{found[1]}/api/tasks", timeout=10) as answer:  # noqa: S310 - what we started
            assert b"pushlane.drain" in answer.read()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
