"""What the commands do when nothing is wrong; those that have more to say have a file of their own beside this one."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.channels import push
from support.command import Ended, pushlane
from support.ports import free_port
from support.processes import environment, installed, running
from support.shell import send, show
from support.stack import channel_settings, fake_api
from support.waiting import wait_until

from pushlane import __version__
from pushlane.keys import AUDIT, channel_prefix
from pushlane_worker.cli.commands import COMMANDS
from pushlane_worker.fake_api.client import FakeApiClient

HEAVY = {"celery", "kombu", "httpx", "aiohttp"}


@pytest.mark.parametrize("command", [("--help",), ("send", "support", "--room", "r", "hello")], ids=" ".join)
def test_help_and_send_load_nothing_heavy(command: tuple[str, ...]) -> None:
    """A producing service's shell script does not wait for Celery's imports."""
    words = [sys.executable, "-X", "importtime", "-m", "pushlane_worker.cli", *command]
    env = environment(PUSHLANE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    ended = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, check=False)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines() if "|" in line}
    assert "click" in loaded
    assert not loaded & HEAVY


def without(absent: str, *arguments: str, **settings: str) -> Ended:
    """The command where these modules are not installed."""
    script = f"import sys; sys.modules |= dict.fromkeys({absent.split()!r}); sys.argv[1:] = {arguments!r}\n"
    script += "from pushlane_worker.cli import main; main()"
    words = [sys.executable, "-c", script]
    return Ended(subprocess.run(words, env=environment(**settings), cwd="/", capture_output=True, check=False))


@pytest.mark.parametrize(
    ("absent", "command", "extra"),
    [
        ("click", "status", "worker"),
        ("click", "callback", "callback"),
        ("rich", "send", "worker"),
        ("aiohttp", "fake-api", "worker"),
        ("celery", "check", "worker"),
        ("celery", "worker", "worker"),
        ("rich", "demo", "demo"),
    ],
)
def test_a_missing_extra_is_one_line(absent: str, command: str, extra: str, redis_url: str) -> None:
    """A service that installed a part is told what else to install, before anything was printed or done."""
    settings = channel_settings("https://api.example.com")
    expected = f"pushlane: {absent} is not installed: run `pip install 'pushlane[{extra}]'`\n"
    ended = without(f"{absent} kombu", command, PUSHLANE_REDIS_URL=redis_url, **settings)
    assert (ended.code, ended.out, ended.err) == (2, "", expected)


def test_help_and_version_need_no_extra() -> None:
    """Who has the library alone sees what there is, and how to get it; with the extras the version is the same."""
    told = without("click", "--help").ok()
    assert not [name for name in COMMANDS if f"\n  {name} " not in told]
    assert "pip install 'pushlane[worker]'" in told
    assert without("click", "--version").ok() == pushlane("--version").ok() == f"pushlane, version {__version__}\n"


def test_a_misspelt_command_suggests_the_right_one() -> None:
    """As a group of commands does for its own."""
    pushlane("statu").refused(2, "No such command 'statu'. Did you mean 'status'?")


def test_every_command_has_a_short_help() -> None:
    """Also the one whose arguments are Celery's."""
    assert pushlane("worker", "-h").ok().startswith("Usage: pushlane worker")


def test_a_message_is_sent_on_hold(redis: Redis, support: str) -> None:
    """With its key and its longest wait; a decision releases it."""
    held = send(support, "r", "hello", "--hold", "order/7", "60")
    assert show(support, "message", "support", held["message_id"])["state"] == "held"
    assert redis.exists(f"{channel_prefix('support')}hold:order/7")
    ended = pushlane("send", "support", "--room", "r", "hello", "--hold", "order/7", "0", redis_url=support)
    ended.refused(2, "hold.timeout", "7 days")


def test_message_tells_where_a_message_is(support: str) -> None:
    """From the queue to its arrival, with aware times and never with the text."""
    message_id = send(support, "r", "a secret")["message_id"]
    queued = show(support, "message", "support", message_id)
    assert (queued["state"], queued["conversation"], queued["attempts"]) == ("queued", "r", 0)
    assert queued["accepted_at"].endswith("Z")
    push(support)
    out = pushlane("message", "support", message_id, redis_url=support).ok()
    assert "delivered" in out
    assert "secret" not in out


def test_a_message_that_nobody_knows_is_exit_1(support: str) -> None:
    """One line says which one and why it may be unknown."""
    pushlane("message", "support", "nosuch", redis_url=support).refused(1, "nosuch", "'support'", "retention")


def test_a_channel_is_registered_from_the_settings(redis_url: str) -> None:
    """Producers may send before the first worker has run."""
    settings = channel_settings("https://api.example.com")
    assert show(redis_url, "channel", "list", settings=settings)["channels"][0]["registered"] is False
    assert "registered" in pushlane("channel", "register", "support", redis_url=redis_url, settings=settings).ok()
    assert show(redis_url, "channel", "list", settings=settings)["channels"][0]["registered"] is True
    assert send(redis_url, "r")["sequence"] == 1
    assert "up to date" in pushlane("channel", "register", "support", redis_url=redis_url, settings=settings).ok()
    ended = pushlane("channel", "register", "suport", redis_url=redis_url, settings=settings)
    ended.refused(2, "PUSHLANE_CHANNELS__SUPORT__KIND", "support")


def test_a_channel_is_removed_with_what_it_has_only_by_force(redis: Redis, support: str) -> None:
    """What it refuses for, and what it removed, is one line; then the channel is unknown."""
    send(support, "r")
    pushlane("channel", "remove", "support", redis_url=support).refused(1, "1 queued message and 0 dead", "--force")
    told = pushlane("channel", "remove", "support", "--force", redis_url=support).ok()
    assert told == "support: removed, with 1 queued message and 0 dead letters\n"
    assert redis.keys() == [AUDIT.encode()]
    pushlane("channel", "remove", "support", redis_url=support).refused(2, "'support'", "not registered")


def test_check_passes_where_a_worker_could_start(support: str) -> None:
    """Each thing is a line; what an operator should know but need not change is a warning."""
    with fake_api() as api:
        settings = channel_settings(f"http://{api._address}")
        lines = pushlane("check", redis_url=support, settings=settings).ok().splitlines()
        assert api.record().pushes == 0
    assert {line.split()[0] for line in lines} == {"ok", "warning"}
    for subject in ("settings", "noeviction", "append-only", "broker", "channel support"):
        assert any(subject in line for line in lines), lines


def test_check_tells_whether_a_heartbeat_can_be_kept(support: str, tmp_path: Path) -> None:
    """A worker refuses to start without it; the file itself is not made."""
    good, bad = tmp_path / "beat", tmp_path / "nosuch" / "beat"
    ended = pushlane("check", redis_url=support, settings={"PUSHLANE_HEARTBEAT_FILE": str(good)})
    assert f"ok       PUSHLANE_HEARTBEAT_FILE: {good} can be written\n" in ended.out
    ended = pushlane("check", redis_url=support, settings={"PUSHLANE_HEARTBEAT_FILE": str(bad)})
    assert f"failed   PUSHLANE_HEARTBEAT_FILE: {bad} cannot be written" in ended.out
    assert ended.code == 1
    assert not good.exists()


def test_check_shows_no_password_where_there_is_none(support: str) -> None:
    """Somebody who reads stars looks for the setting that they come from."""
    assert "**" not in pushlane("check", redis_url=support).out


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_check_fails_when_the_remote_address_does(scheme: str, support: str) -> None:
    """A closed port by HTTP, a peer that speaks no TLS by HTTPS: the line names the setting."""
    with fake_api() as api:
        address = api._address if scheme == "https" else f"127.0.0.1:{free_port()}"
        settings = channel_settings(f"{scheme}://{address}")
        ended = pushlane("check", redis_url=support, settings=settings)
    assert ended.code == 1
    (line,) = [line for line in ended.out.splitlines() if line.startswith("failed")]
    assert "PUSHLANE_CHANNELS__SUPPORT__BASE_URL" in line


def test_check_fails_when_redis_may_drop_messages(redis: Redis, support: str) -> None:
    """A Redis that evicts is no queue."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        ended = pushlane("check", redis_url=support)
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    assert ended.code == 1
    assert "failed   Redis: maxmemory-policy is allkeys-lru" in ended.out


def test_check_tells_an_address_that_nobody_answers() -> None:
    """Redis and broker are a line each."""
    ended = pushlane("check", redis_url=f"redis://127.0.0.1:{free_port()}/0")
    assert ended.code == 1
    assert len([line for line in ended.out.splitlines() if line.startswith("failed")]) == 2
    assert ended.err == ""


@pytest.fixture
def worker(support: str, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The pid and the log of ``pushlane worker -c 1 --loglevel=WARNING``."""
    log = tmp_path / "log"
    env = environment(PUSHLANE_REDIS_URL=support, **channel_settings("http://127.0.0.1:9"))
    words = [installed("pushlane"), "worker", "-c", "1", "--pool", "solo", "--loglevel=WARNING"]
    with running(words, env=env, cwd=tmp_path, log=log) as process:
        yield process.pid, log


def test_the_worker_becomes_celerys_own(worker: tuple[int, Path], redis: Redis) -> None:
    """Same process, our defaults first, the user's arguments after them: a supervisor's signals reach Celery."""
    pid, log = worker
    command_line = Path(f"/proc/{pid}/cmdline")
    wait_until(lambda: b"\0worker\0--" in command_line.read_bytes(), "the exec of Celery")
    words = command_line.read_text().split("\0")
    celery = ["-P", "-m", "pushlane_worker", "-A", "pushlane_worker", "worker"]
    ours = ["--without-gossip", "--without-mingle", "--loglevel", "INFO", "--hostname", f"worker-{pid}@%h"]
    assert words[1:-1] == [*celery, *ours, "-c", "1", "--pool", "solo", "--loglevel=WARNING"]
    wait_until(lambda: redis.exists(f"{channel_prefix('support')}sweep"), "its first sweep", timeout_s=30)
    assert "ready." not in log.read_text(), "the user's log level did not win"


def test_the_fake_api_prints_its_address_and_misbehaves_as_told(tmp_path: Path) -> None:
    """Its address is alone on standard output, that of third-party messages on the other; it ends well with SIGTERM."""
    words = [installed("pushlane"), "fake-api", "--port", "0", "--fail", "0.5", "--fail-status", "500", "--token", "t"]
    words += ["--rate-limit", "5/1s", "--latency", "0.5", "--down", "502"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment(), cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        control = FakeApiClient(url).control()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert f" {url}/third-party;" in process.stderr.read()
        assert process.wait(10) == 0
    assert control.fail is not None
    assert (control.fail.rate, control.fail.status, control.token) == (0.5, 500, "t")
    assert (control.rate_limit, control.latency_s, control.down) == ("5/1s", 0.5, 502)
    assert control.stall is None


def test_a_message_is_cancelled(support: str) -> None:
    """It says what came of it; a message that is final is not cancelled, and the exit code says so."""
    receipt = json.loads(pushlane("send", "support", "--room", "r", "hello", "--receipts", redis_url=support).ok())
    assert pushlane("cancel", "support", receipt["message_id"], redis_url=support).ok() == "cancelled\n"
    again = pushlane("cancel", "support", receipt["message_id"], redis_url=support)
    again.refused(1, receipt["message_id"], "already_final")
