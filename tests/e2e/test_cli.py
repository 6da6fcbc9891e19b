"""What the commands do when nothing is wrong."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.channels import claim, push, register
from support.command import pushlane
from support.processes import environment, installed, running
from support.stack import channel_settings, fake_api
from support.waiting import wait_until

from pushlane.keys import channel_prefix
from pushlane_worker.embedded import free_port
from pushlane_worker.fake_api.client import FakeApiClient
from pushlane_worker.outcome import Outcome

HEAVY = {"celery", "kombu", "httpx", "aiohttp"}
COUNTERS = f"{channel_prefix('support')}counters"


@pytest.fixture
def support(redis: Redis, redis_url: str) -> str:
    """The address of a queue with the channel ``support``."""
    register(redis)
    return redis_url


def send(url: str, room: str, text: str = "hello", *options: str) -> dict[str, Any]:
    """The receipt of one text."""
    receipt: dict[str, Any] = json.loads(
        pushlane("send", "support", "--room", room, text, "--json", *options, redis_url=url).ok()
    )
    return receipt


def dead_letter(url: str, room: str, text: str) -> str:
    """The id of a message that was sent and refused."""
    message_id: str = send(url, room, text, "--sender-eid", "agent")["message_id"]
    push(url, Outcome.REJECTED, dead="1", reason="r")
    return message_id


def show(url: str, *command: str, settings: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """The document that a command prints with --json."""
    return json.loads(pushlane(*command, "--json", redis_url=url, settings=settings).ok())


@pytest.mark.parametrize("command", [("--help",), ("send", "support", "--room", "r", "hello")], ids=" ".join)
def test_help_and_send_load_nothing_heavy(command: tuple[str, ...]) -> None:
    """A producing service's shell script does not wait for Celery's imports."""
    words = [sys.executable, "-X", "importtime", "-m", "pushlane_worker.cli", *command]
    env = environment(PUSHLANE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    ended = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, check=False)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines() if "|" in line}
    assert "click" in loaded
    assert not loaded & HEAVY


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    """A service that installed the library alone is told what to install, for the whole command line or a part."""
    for absent, command in (("click", "--help"), ("rich", "status"), ("aiohttp", "fake-api")):
        script = f"import sys; sys.modules['{absent}'] = None; sys.argv[1:] = ['{command}']\n"
        script += "from pushlane_worker.cli import main; main()"
        words = [sys.executable, "-c", script]
        ended = subprocess.run(words, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)
        expected = f"pushlane: {absent} is not installed: run `pip install 'pushlane[worker]'`\n"
        assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", expected)


def test_a_text_is_sent_with_all_its_options(support: str) -> None:
    """Its receipt tells where it is; the same key again is the same message."""
    options = ("--sender-eid", "agent", "--receiver-eid", "guest", "--key", "order-7")
    receipt = send(support, "room-1", "hello", *options)
    assert (receipt["channel"], receipt["conversation"], receipt["sequence"]) == ("support", "room-1", 1)
    assert receipt["duplicate"] is False
    assert send(support, "room-1", "hello", *options) == receipt | {"duplicate": True}
    (taken,) = claim(support)
    assert b'["agent", "guest"]"hello"' in taken.records[0]


def test_a_sent_text_is_one_line_for_a_person(support: str) -> None:
    """The line has what `pushlane message` asks for."""
    out = pushlane("send", "support", "--room", "r", "hello", redis_url=support).ok()
    assert out.startswith("1 message accepted: sequence 1, id ")
    message_id = out.split()[-1]
    assert show(support, "message", "support", message_id)["message_id"] == message_id


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_file_is_enqueued_in_its_order(way: str, support: str, redis: Redis, tmp_path: Path) -> None:
    """2,500 lines become 2,500 messages, also those with keys of their own, in the order of the lines."""
    file = tmp_path / "messages.jsonl"
    keyed = {n: {"idempotency_key": f"key-{n}"} for n in (3, 4, 1200)}
    lines = [json.dumps({"room_id": "r", "text": f"hello #{n}", **keyed.get(n, {})}) for n in range(2500)]
    file.write_text("\n".join(lines))
    name, stdin = (str(file), b"") if way == "file" else ("-", file.read_bytes())
    out = pushlane("send", "support", "--file", name, stdin=stdin, redis_url=support).ok()
    assert out == "2,500 messages accepted: sequence 1..2500\n"
    ids: Any = redis.lrange(f"{channel_prefix('support')}conversation:r", 0, -1)
    stored: list[Any] = [redis.get(f"{channel_prefix('support')}message:{one.decode()}") for one in ids]
    assert [str(n).encode() for n in range(2500)] == [record.rpartition(b"#")[2][:-1] for record in stored]


def test_a_file_sent_again_adds_only_what_has_no_key(support: str) -> None:
    """Keys make a repeated file harmless, and the line says how many were known."""
    stdin = b"\n".join(b'{"room_id": "r", "text": "x", "idempotency_key": "k%d"}' % n for n in range(3))
    pushlane("send", "support", "--file", "-", stdin=stdin, redis_url=support).ok()
    again = pushlane("send", "support", "--file", "-", stdin=stdin + b"\n", redis_url=support).ok()
    assert again == "3 messages accepted (3 known already): sequence 1..3\n"


def test_a_file_of_nothing_is_no_error(support: str) -> None:
    """An empty export is a usual thing."""
    assert pushlane("send", "support", "--file", "-", stdin=b"\n\n", redis_url=support).ok() == "no messages\n"


def test_receipts_are_lines_of_json(support: str) -> None:
    """One for each line of the file, in its order, for a program to keep."""
    stdin = b'{"room_id": "a", "text": "x"}\n{"room_id": "b", "text": "y"}\n'
    out = pushlane("send", "support", "--file", "-", "--json", stdin=stdin, redis_url=support).ok()
    receipts = [json.loads(line) for line in out.splitlines()]
    assert [(one["conversation"], one["sequence"]) for one in receipts] == [("a", 1), ("b", 2)]


def test_status_counts_what_is_where(support: str) -> None:
    """Depth, conversations, pushes by outcome, dead letters and pushes of unknown outcome with their messages."""
    send(support, "delivered")
    push(support)
    lost = send(support, "unknown")["message_id"]
    push(support, Outcome.UNKNOWN, dead="1", reason="u")
    send(support, "leased")
    claim(support)
    send(support, "ready")
    (channel,) = show(support, "status", "support")["channels"]
    assert (channel["registered"], channel["kind"], channel["max_queued"]) == (True, "cinnox", 1_000_000)
    assert (channel["depth"], channel["ready"], channel["delayed"], channel["leased"]) == (2, 1, 0, 1)
    assert (channel["accepted"], channel["delivered"], channel["dead_letters"]) == (4, 1, 1)
    assert {name: count for name, count in channel["pushes"].items() if count} == {"delivered": 1, "unknown": 1}
    assert channel["unknown_pushes"] == 1
    assert channel["last_unknown"][0]["message_ids"] == [lost]
    assert channel["rate"] == {"used": 3, "limit": 500, "window_s": 60}
    assert channel["gate"]["state"] == "open"


def test_status_shows_a_closed_gate_with_its_reason(support: str) -> None:
    """Whoever wonders why nothing moves sees it here."""
    send(support, "r")
    push(support, Outcome.MISCONFIGURED)
    (channel,) = show(support, "status", "support")["channels"]
    assert (channel["gate"]["state"], channel["gate"]["reason"]) == ("broken", "misconfigured: said so")
    assert channel["gate"]["until"].endswith("Z")
    out = pushlane("status", "support", redis_url=support).ok()
    assert "support: gate broken until " in out
    assert "(misconfigured: said so)" in out


def test_the_status_table_fits_80_columns(redis: Redis, redis_url: str) -> None:
    """Also with the longest name and millions of everything."""
    name = "a_channel_of_thirty_two_letters_"[:31] + "x"
    register(redis, name)
    redis.hset(
        f"{channel_prefix(name)}counters", mapping={"depth": 3_000_000, "delivered": 10**9, "pushes_unknown": 10**6}
    )
    table = pushlane("status", name, redis_url=redis_url).ok().splitlines()
    assert max(map(len, table[:-1])) <= 80
    numbers = {word for line in table for word in line.split()}
    assert {"3000000", "1000000000", "1000000"} <= numbers


def test_status_without_a_name_shows_the_channels_of_the_settings(support: str) -> None:
    """One that no worker has registered yet is shown as such."""
    settings = channel_settings("https://api.example.com") | channel_settings("https://api.example.com", "other")
    channels = show(support, "status", settings=settings)["channels"]
    assert {one["channel"]: one["registered"] for one in channels} == {"support": True, "other": False}


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


def test_dead_letters_are_listed_latest_first_without_their_text(support: str) -> None:
    """As many as were asked for, each with its reason."""
    ids = [dead_letter(support, f"room-{n}", "a secret") for n in range(3)]
    out = pushlane("dead", "list", "support", "--json", "--limit", "2", redis_url=support).ok()
    letters = [json.loads(line) for line in out.splitlines()]
    assert [one["message_id"] for one in letters] == ids[:0:-1]
    assert {(one["reason"], one["detail"]) for one in letters} == {("rejected", "said so")}
    out = pushlane("dead", "list", "support", redis_url=support).ok()
    assert len(out.splitlines()) == 3
    assert "secret" not in out


def test_dead_letters_are_listed_past_a_page(redis: Redis, support: str) -> None:
    """450 of them are three pages, and none is listed twice."""
    stdin = b"\n".join(b'{"room_id": "r%d", "text": "x"}' % n for n in range(450))
    pushlane("send", "support", "--file", "-", stdin=stdin, redis_url=support).ok()
    gate = f"{channel_prefix('support')}gate"
    redis.hset(gate, mapping={"state": "open", "cap": 1000, "epoch": 0})
    redis.hset(f"{channel_prefix('support')}channel", "breaker_after", 1000)
    while redis.zcard(f"{channel_prefix('support')}ready"):
        push(support, Outcome.FAILED, dead="1", reason="a")
    out = pushlane("dead", "list", "support", "--limit", "1000", redis_url=support).ok()
    assert len(set(out.splitlines())) == 450


def test_a_dead_letter_is_shown_with_what_it_says(support: str) -> None:
    """In the form in which it could be sent again; nothing in it steers the operator's terminal."""
    text = "bad \x1b[2Jtext"
    message_id = dead_letter(support, "r", text)
    letter = show(support, "dead", "show", "support", message_id)
    assert letter["message"] == {"room_id": "r", "text": text, "sender_eid": "agent"}
    assert letter["reason"] == "rejected"
    out = pushlane("dead", "show", "support", message_id, redis_url=support).ok()
    assert "bad \\x1b[2Jtext" in out


def test_a_message_that_is_not_dead_is_no_dead_letter(support: str) -> None:
    """Payloads of living messages are not shown."""
    message_id = send(support, "r")["message_id"]
    pushlane("dead", "show", "support", message_id, redis_url=support).refused(1, message_id, "dead letters")


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


def test_check_passes_where_a_worker_could_start(support: str) -> None:
    """Each thing is a line; what an operator should know but need not change is a warning."""
    with fake_api() as api:
        settings = channel_settings(f"http://{api._address}")
        lines = pushlane("check", redis_url=support, settings=settings).ok().splitlines()
        assert api.record().pushes == 0
    assert {line.split()[0] for line in lines} == {"ok", "warning"}
    for subject in ("settings", "noeviction", "append-only", "broker", "channel support"):
        assert any(subject in line for line in lines), lines


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
    wait_until(lambda: b"\0celery\0" in command_line.read_bytes(), "the exec of Celery")
    words = command_line.read_text().split("\0")
    ours = [
        "-m",
        "celery",
        "-A",
        "pushlane_worker",
        "worker",
        "--without-gossip",
        "--without-mingle",
        "--loglevel",
        "INFO",
    ]
    assert words[1:-1] == [*ours, "-c", "1", "--pool", "solo", "--loglevel=WARNING"]
    wait_until(lambda: redis.exists(f"{channel_prefix('support')}sweep"), "its first sweep", timeout_s=30)
    assert "ready." not in log.read_text(), "the user's log level did not win"


def test_the_fake_api_prints_its_address_and_misbehaves_as_told(tmp_path: Path) -> None:
    """Its address is the only thing on standard output; it ends well with SIGTERM."""
    words = [installed("pushlane"), "fake-api", "--port", "0", "--fail", "0.5", "--fail-status", "500", "--token", "t"]
    words += ["--rate-limit", "5/1s", "--latency", "0.5", "--down", "502"]
    with subprocess.Popen(words, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        control = FakeApiClient(process.stdout.readline().strip()).control()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert process.wait(10) == 0
    assert control.fail is not None
    assert (control.fail.rate, control.fail.status, control.token) == (0.5, 500, "t")
    assert (control.rate_limit, control.latency_s, control.down) == ("5/1s", 0.5, 502)
    assert control.stall is None


def test_a_reader_that_has_enough_is_no_error(support: str) -> None:
    """`pushlane dead list … | head` ends without a traceback."""
    for n in range(3):
        dead_letter(support, f"room-{n}", "x")
    words = [installed("pushlane"), "dead", "list", "support"]
    env = environment(PUSHLANE_REDIS_URL=support)
    with subprocess.Popen(words, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_message_is_cancelled(support: str) -> None:
    """It says what came of it; a message that is final is not cancelled, and the exit code says so."""
    receipt = json.loads(pushlane("send", "support", "--room", "r", "hello", "--json", redis_url=support).ok())
    assert pushlane("cancel", "support", receipt["message_id"], redis_url=support).ok() == "cancelled\n"
    again = pushlane("cancel", "support", receipt["message_id"], redis_url=support)
    again.refused(1, receipt["message_id"], "already_final")
