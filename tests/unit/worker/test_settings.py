"""Every setting that is wrong stops the start with one line that names it."""

from pathlib import Path

import pytest
from support.environment import CHANNEL, ROOT, SECRET, Tell

from pushlane.errors import SettingsError
from pushlane.service.configuration import check_names
from pushlane_worker.channel_settings import ChannelSettings, RateLimit
from pushlane_worker.cli.worker import command as worker
from pushlane_worker.settings import Addresses, Settings, load_settings

pytestmark = pytest.mark.usefixtures("clean_environment")

TOML = f"""
redis_url = "redis://file:6379/0"
slice_s = 3

[channels.support]
kind = "cinnox"
base_url = "https://api.example.com"
app_id = "app"
token = "{SECRET}"
rate_limit = "10/1s"
retry_codes = [7, 8]
"""

# --- what is right -----------------------------------------------------------------------------------------------


def test_the_least_that_a_worker_needs(tell: Tell) -> None:
    """An address and a channel's four values; all else has its documented default."""
    settings = tell.all({**ROOT, **CHANNEL})
    channel = settings.channels["support"]
    assert settings.broker == settings.redis_url == ROOT["PUSHLANE_REDIS_URL"]
    assert (settings.max_in_flight, settings.push_deadline_s, settings.lease_s, settings.slice_s) == (64, 10, 30, 2)
    assert (settings.retention_s, settings.idempotency_window_s) == (86_400, 86_400)
    assert (channel.queue, channel.rate_limit, channel.max_queued) == ("pushlane", RateLimit(500, 60), 1_000_000)
    assert (channel.max_attempts, channel.max_age_s, channel.on_unknown) == (40, 86_400, "retry")
    assert (channel.backoff_base_s, channel.backoff_cap_s, channel.retry_after_cap_s) == (1, 300, 3600)
    assert (channel.breaker_after, channel.breaker_cap_s) == (10, 60)
    assert (channel.text_unit, channel.max_message_bytes) == ("codepoints", 65_536)
    assert (channel.retry_codes, channel.reject_codes) == (frozenset(), frozenset())
    assert channel.read_token() == SECRET


@pytest.mark.parametrize("level", ["debug", "Debug", "DEBUG"])
def test_a_log_level_may_be_written_in_any_case(tell: Tell, level: str) -> None:
    """As everywhere else."""
    assert tell.all({**ROOT, **CHANNEL, "PUSHLANE_LOG_LEVEL": level}).log_level == "DEBUG"


def test_every_setting_says_what_it_is() -> None:
    """The table of settings in the docs is made of these sentences."""
    for section in (Settings, ChannelSettings):
        for name, field in section.model_fields.items():
            assert field.description, name
            assert field.description.endswith("."), name


@pytest.mark.parametrize(
    "arguments", [("-P", "gevent"), ("-Peventlet",), ("--pool=gevent", "-c", "9"), ("-c", "1", "--pool", "eventlet")]
)
def test_a_pool_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    """Before Celery patches the process for it, however it is written; the others may be written as freely."""
    for name, value in {**ROOT, **CHANNEL}.items():
        monkeypatch.setenv(name, value)
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, words: started.append(words))
    with pytest.raises(SettingsError, match="--pool: gevent and eventlet do not work here"):
        worker.main(arguments, standalone_mode=False)
    assert not started
    worker.main(
        [word.replace("gevent", "threads").replace("eventlet", "solo") for word in arguments], standalone_mode=False
    )
    assert len(started) == 1


def test_no_channel_is_no_error(tell: Tell) -> None:
    """A worker without channels of its own may start: it has nothing to sweep."""
    assert tell.all(ROOT).channels == {}


def test_an_empty_variable_is_an_absent_one(tell: Tell) -> None:
    """Compose files set variables to nothing when the host has none."""
    settings = tell.all({**ROOT, **CHANNEL, "PUSHLANE_SLICE_S": "", "PUSHLANE_CHANNELS__SUPPORT__QUEUE": ""})
    assert settings.slice_s == 2
    assert settings.channels["support"].queue == "pushlane"


# --- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("REDIS_URL", "", "is missing: Address of the queue's Redis"),
        ("REDIS_URL", "localhost:6379", "must be an address like redis://localhost:6379/0"),
        ("REDIS_URL", "http://localhost", "must be an address like redis://localhost:6379/0"),
        ("BROKER_URL", "amqp://localhost", "must be an address like redis://localhost:6379/0"),
        ("MAX_IN_FLIGHT", "0", "greater than or equal to 1"),
        ("MAX_IN_FLIGHT", "4097", "less than or equal to 4096"),
        ("MAX_IN_FLIGHT", "many", "valid integer"),
        ("PUSH_DEADLINE_S", "0", "greater than 0"),
        ("PUSH_DEADLINE_S", "121", "less than or equal to 120"),
        ("PUSH_DEADLINE_S", "nan", "less than or equal to 120"),
        ("LEASE_S", "301", "less than or equal to 300"),
        ("LEASE_S", "inf", "less than or equal to 300"),
        ("SLICE_S", "0.09", "greater than or equal to 0.1"),
        ("SLICE_S", "61", "less than or equal to 60"),
        ("RETENTION_S", "0", "greater than or equal to 1"),
        ("RETENTION_S", "inf", "less than or equal to 315360000"),
        ("IDEMPOTENCY_WINDOW_S", "-1", "greater than or equal to 1"),
        ("IDEMPOTENCY_WINDOW_S", "1e300", "less than or equal to 315360000"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
        ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("CHANNELS__SUPPORT__KIND", "slack", "'cinnox' or 'third_party'"),
        ("CHANNELS__SUPPORT__KIND", "", "is missing: The remote API"),
        ("CHANNELS__SUPPORT__BASE_URL", "", "is missing: The API's base address"),
        ("CHANNELS__SUPPORT__BASE_URL", "ftp://api.example.com", "must be like https://"),
        ("CHANNELS__SUPPORT__BASE_URL", "https://user:pw@api.example.com", "must be like https://"),
        ("CHANNELS__SUPPORT__BASE_URL", "https://api.example.com?key=1", "must be like https://"),
        ("CHANNELS__SUPPORT__APP_ID", "", "is missing: The app ID"),
        ("CHANNELS__SUPPORT__APP_ID", "x" * 257, "at most 256 characters"),
        ("CHANNELS__SUPPORT__QUEUE", "a b", "must be 1 to 64 letters, digits"),
        ("CHANNELS__SUPPORT__RATE_LIMIT", "500", "must be like 500/60s, or none"),
        ("CHANNELS__SUPPORT__RATE_LIMIT", "0/60s", "must be like 500/60s, or none"),
        ("CHANNELS__SUPPORT__RATE_LIMIT", "500/0s", "must be like 500/60s, or none"),
        ("CHANNELS__SUPPORT__RATE_LIMIT", "500/1m", "must be like 500/60s, or none"),
        ("CHANNELS__SUPPORT__RATE_LIMIT", "null", "must be like 500/60s, or none"),
        ("CHANNELS__SUPPORT__MAX_QUEUED", "0", "greater than or equal to 1"),
        ("CHANNELS__SUPPORT__MAX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("CHANNELS__SUPPORT__MAX_ATTEMPTS", "10000", "less than or equal to 9999"),
        ("CHANNELS__SUPPORT__MAX_AGE_S", "0", "greater than 0"),
        ("CHANNELS__SUPPORT__BACKOFF_BASE_S", "-1", "greater than 0"),
        ("CHANNELS__SUPPORT__BACKOFF_CAP_S", "86401", "less than or equal to 86400"),
        ("CHANNELS__SUPPORT__BREAKER_AFTER", "0", "greater than or equal to 1"),
        ("CHANNELS__SUPPORT__BREAKER_CAP_S", "0.5", "greater than or equal to 1"),
        ("CHANNELS__SUPPORT__RETRY_AFTER_CAP_S", "86401", "less than or equal to 86400"),
        ("CHANNELS__SUPPORT__ON_UNKNOWN", "drop", "'retry' or 'dead_letter'"),
        ("CHANNELS__SUPPORT__TEXT_UNIT", "chars", "'codepoints', 'utf16' or 'bytes'"),
        ("CHANNELS__SUPPORT__MAX_MESSAGE_BYTES", "1000000", "less than or equal to 999999"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_name_and_what_is_allowed(
    tell: Tell, variable: str, value: str, allowed: str
) -> None:
    """Whoever reads the line can mend the setting without the documentation."""
    line = tell.error(**{variable: value})
    assert line.startswith(f"PUSHLANE_{variable}: ")
    assert allowed in line
    assert len(line) < 250


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("REDIS_ULR", "; did you mean PUSHLANE_REDIS_URL?"),
        ("LEASE", "; did you mean PUSHLANE_LEASE_S?"),
        ("CHANEL__SUPPORT__TOKEN", "; did you mean PUSHLANE_CHANNELS?"),
        ("CHANNELS__SUPPORT__TOKN", "; did you mean PUSHLANE_CHANNELS__SUPPORT__TOKEN?"),
        ("CHANNELS__SUPPORT__MAX_ATEMPTS", "; did you mean PUSHLANE_CHANNELS__SUPPORT__MAX_ATTEMPTS?"),
        ("XYZZY", ""),
        ("CHANNELS__SUPPORT__XYZZY", ""),
    ],
)
def test_an_unknown_variable_stops_the_start_and_names_the_nearest(tell: Tell, variable: str, hint: str) -> None:
    """A misspelt setting is not silently a default."""
    assert tell.error(**{variable: "1"}) == f"PUSHLANE_{variable}: is not a setting of Pushlane{hint}"


def test_the_callbacks_own_sections_and_other_programs_variables_are_left_alone() -> None:
    """One environment may serve the whole installation."""
    check_names({"PUSHLANE_MODERATION__TOKENS": "x", "PUSHLANE_WEBHOOK__A__TOKEN": "x", "PUSHLANE_API_KEYS__B": "x"})
    check_names({"PUSHLANE_CONFIG": "x", "PATH": "x", "PUSHLANEX": "x", "XPUSHLANE_A": "x"})


@pytest.mark.parametrize(("deadline", "lease"), [("10", "11"), ("120", "121"), ("0.5", "1.5"), ("0.5", "300")])
def test_a_lease_may_outlast_a_push_by_a_second(tell: Tell, deadline: str, lease: str) -> None:
    """The margin is what writing the request and settling may take."""
    settings = tell.all({**ROOT, "PUSHLANE_PUSH_DEADLINE_S": deadline, "PUSHLANE_LEASE_S": lease})
    assert settings.lease_s == float(lease)


@pytest.mark.parametrize(("deadline", "lease"), [("10", "10.9"), ("30", "30"), ("120", "30"), ("0.5", "1.4")])
def test_a_lease_that_a_push_can_outlive_is_refused(tell: Tell, deadline: str, lease: str) -> None:
    """Otherwise every push would be given back unsent, or be sent twice."""
    line = tell.error(PUSH_DEADLINE_S=deadline, LEASE_S=lease)
    assert line.startswith("PUSHLANE_LEASE_S: must be at least PUSH_DEADLINE_S + 1")


# --- the file ----------------------------------------------------------------------------------------------------


def test_a_file_holds_the_same_settings(tmp_path: Path) -> None:
    """``pushlane.toml`` in the working directory is read without being named."""
    (tmp_path / "pushlane.toml").write_text(TOML)
    settings = load_settings()
    assert (settings.redis_url, settings.slice_s) == ("redis://file:6379/0", 3)
    channel = settings.channels["support"]
    assert (channel.rate_limit, channel.retry_codes) == (RateLimit(10, 1), frozenset({7, 8}))


def test_the_environment_wins_over_the_file(tell: Tell, tmp_path: Path) -> None:
    """A deployment overrides single values of a file that is shared, down to one field of a channel."""
    (tmp_path / "other.toml").write_text(TOML)
    settings = tell.all(
        {
            "PUSHLANE_CONFIG": str(tmp_path / "other.toml"),
            "PUSHLANE_SLICE_S": "4",
            "PUSHLANE_CHANNELS__SUPPORT__RATE_LIMIT": "20/1s",
        }
    )
    assert (settings.redis_url, settings.slice_s) == ("redis://file:6379/0", 4)
    channel = settings.channels["support"]
    assert (channel.rate_limit, channel.retry_codes) == (RateLimit(20, 1), frozenset({7, 8}))


def test_a_file_that_is_named_has_to_be_there(tell: Tell) -> None:
    """A wrong path is not an empty file."""
    assert (
        tell.error(CONFIG="/nowhere/pushlane.toml")
        == "PUSHLANE_CONFIG: the file '/nowhere/pushlane.toml' does not exist"
    )


def test_a_file_that_cannot_be_read_is_named(tell: Tell) -> None:
    """As one that belongs to another user; reading a process's memory from its start fails for everybody (Linux)."""
    assert tell.error(CONFIG="/proc/self/mem").startswith("/proc/self/mem: cannot be read: ")


@pytest.mark.parametrize("content", [b"redis_url = ", b"= 1", b"\xff\xfe", b"[channels.support\n"])
def test_a_file_that_is_no_toml_is_named(tell: Tell, tmp_path: Path, content: bytes) -> None:
    """The line names the file and the place in it."""
    (tmp_path / "pushlane.toml").write_bytes(content)
    assert tell.error().startswith("pushlane.toml: is not valid TOML: ")


def test_a_wrong_value_in_the_file_is_named_like_a_variable(tell: Tell, tmp_path: Path) -> None:
    """One name for a setting, wherever it was set."""
    (tmp_path / "pushlane.toml").write_text("slice_s = 99\n")
    assert tell.error().startswith("PUSHLANE_SLICE_S: ")
    (tmp_path / "pushlane.toml").write_text("slices_s = 1\n")
    assert tell.error() == "PUSHLANE_SLICES_S: is not a setting of Pushlane; did you mean PUSHLANE_SLICE_S?"
    (tmp_path / "pushlane.toml").write_text('[channels.support]\ntokens = "x"\n')
    assert tell.error().endswith(
        "TOKENS: is not a setting of Pushlane; did you mean PUSHLANE_CHANNELS__SUPPORT__TOKEN?"
    )


def test_the_callbacks_sections_may_stand_in_the_same_file(tell: Tell, tmp_path: Path) -> None:
    """One file may serve the whole installation."""
    (tmp_path / "pushlane.toml").write_text('[moderation]\nsdk_app_ids = [1]\n[webhook.a]\ntoken = "x"\n[api_keys.b]\n')
    assert tell.all({**ROOT, **CHANNEL}).channels["support"].app_id == "app"


# --- the addresses -----------------------------------------------------------------------------------------------


def test_the_addresses_never_raise_for_a_channels_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Flower imports the app on a machine that has neither the tokens nor right channels."""
    (tmp_path / "pushlane.toml").write_text('broker_url = "redis://file"\nnonsense = 1\n[channels.x]\nkind = 7\n')
    monkeypatch.setenv("PUSHLANE_REDIS_URL", "redis://queue")
    monkeypatch.setenv("PUSHLANE_CHANNELS__SUPPORT__TOKEN_FILE", "/nowhere")
    monkeypatch.setenv("PUSHLANE_CHANNELS", "{")
    monkeypatch.setenv("PUSHLANE_NONSENSE", "1")
    addresses = Addresses()
    assert (addresses.redis_url, addresses.broker) == ("redis://queue", "redis://file")


@pytest.mark.parametrize("broker", [None, "redis://app@broker"])
def test_passwords_may_be_in_files(tell: Tell, tmp_path: Path, broker: str | None) -> None:
    """Of a worker's two addresses, and of Flower's; a broker without an address of its own has Redis's password."""
    (tmp_path / "one").write_text("first\n")
    (tmp_path / "two").write_text("second\n")
    given = {**CHANNEL, "PUSHLANE_REDIS_URL": "redis://queue/1", "PUSHLANE_REDIS_PASSWORD_FILE": str(tmp_path / "one")}
    if broker:
        given |= {"PUSHLANE_BROKER_URL": broker, "PUSHLANE_BROKER_PASSWORD_FILE": str(tmp_path / "two")}
    settings = tell.all(given)
    for addresses in (settings, Addresses()):
        assert addresses.redis_url == "redis://:first@queue/1"
        assert addresses.broker == ("redis://app:second@broker" if broker else addresses.redis_url)


def test_a_password_in_a_file_needs_its_address(tell: Tell, tmp_path: Path) -> None:
    """Rather than being read and unused."""
    (tmp_path / "password").write_text("secret")
    line = tell.error(BROKER_PASSWORD_FILE=str(tmp_path / "password"))
    assert line == "PUSHLANE_BROKER_PASSWORD_FILE: is set, but PUSHLANE_BROKER_URL is not"
    (tmp_path / "pushlane.toml").write_text('broker_url = "redis://file"\n')
    assert Addresses().broker == "redis://:secret@file"


def test_without_any_address_the_local_server_is_meant() -> None:
    """``celery -A pushlane_worker`` imports without a setting; the worker's start asks for one."""
    assert Addresses().broker == "redis://localhost:6379/0"
