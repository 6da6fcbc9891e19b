"""Every setting of the callback that is wrong stops the start with one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushlane.callback.server import check_open
from pushlane.callback.settings import (
    REQUEST_FIELDS,
    ApiKeySettings,
    CallbackSettings,
    DashboardSettings,
    ModerationSettings,
    PolicySettings,
    WebhookSettings,
    load_callback_settings,
)
from pushlane.errors import SettingsError
from pushlane.service.configuration import NAMES
from pushlane.service.credentials import is_one_of
from pushlane_worker.settings import Settings, load_settings

SECRET = "s3cr3t-t0ken"
RIGHT = {
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "MODERATION__SDK_APP_IDS": "1400000001",
    "MODERATION__TOKENS": SECRET,
    "API_KEYS__ORDERS__KEY": "0rders-key",
    "API_KEYS__ORDERS__CHANNELS": "support",
    "WEBHOOK__SHOP__TOKEN": "sh0p-token",
    "WEBHOOK__SHOP__RELAY_CHANNEL": "support",
}

SECTIONS = CallbackSettings, ModerationSettings, ApiKeySettings, WebhookSettings, DashboardSettings, PolicySettings

pytestmark = pytest.mark.usefixtures("clean_environment")


class Told:
    """Loads settings from an environment."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def all(self, **variables: str) -> CallbackSettings:
        """The settings of the right environment with these beside or instead; empty is absent."""
        for name, value in (RIGHT | variables).items():
            self._patch.setenv(f"PUSHLANE_{name}", value)
        return load_callback_settings()

    def moderation(self, **variables: str) -> ModerationSettings:
        """The section MODERATION, with these beside the right ones."""
        found = self.all(**{f"MODERATION__{name}": value for name, value in variables.items()}).moderation
        assert found is not None
        return found

    def error(self, **variables: str) -> str:
        """What is said of such an environment."""
        with pytest.raises(SettingsError) as caught:
            self.all(**variables)
        line = str(caught.value)
        assert "\n" not in line
        assert SECRET not in line + repr(caught.value)
        assert len(line) < 300
        return line


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Sets the environment and loads the settings."""
    return Told(monkeypatch)


def test_every_name_that_may_stand_in_the_environment_is_somebodys_setting() -> None:
    """One environment serves the worker and the callback."""
    assert {name.upper() for kind in (Settings, CallbackSettings) for name in kind.model_fields} == NAMES


def test_every_setting_says_what_it_is() -> None:
    """The table of settings in the docs is made of these sentences."""
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            assert field.description, name
            assert field.description.endswith("."), name


def test_the_least_that_moderation_needs(told: Told) -> None:
    """An app and its token; all else has its documented default."""
    section = told.moderation()
    assert (section.sdk_app_ids, section.read_tokens()) == (("1400000001",), (SECRET,))
    assert (section.deadline_s, section.on_error, section.unsigned) == (1.5, "allow", False)
    assert (section.policies, section.blocked_words_file, section.blocked_words_action) == ((), None, "forbid")
    assert (section.source_networks, section.trusted_proxies) == ((), ())
    assert (section.relay_channel, section.relay_room, section.routing) == (None, None, None)
    assert section.spool_dir == Path("pushlane-spool")


def test_an_empty_variable_is_an_absent_one(told: Told) -> None:
    """Compose files set variables to nothing when the host has none."""
    section = told.moderation(TOKENS="", DEADLINE_S="", POLICIES="", RELAY_ROOM="")
    assert (section.read_tokens(), section.deadline_s, section.policies) == ((), 1.5, ())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1400000001", ("1400000001",)),
        ("1400000001, 1400000002 ,", ("1400000001", "1400000002")),
        ('["1400000001"]', ("1400000001",)),
        ("[1400000001, 1400000002]", ("1400000001", "1400000002")),
    ],
)
def test_lists_are_json_or_comma_separated(told: Told, written: str, read: tuple[str, ...]) -> None:
    """An SDKAppID is a number, so that a JSON list has it without quotes."""
    assert told.moderation(SDK_APP_IDS=written).sdk_app_ids == read


def test_policies_are_names_or_objects(told: Told) -> None:
    """A chain of one's own has its codes and texts."""
    section = told.moderation(BLOCKED_WORDS_FILE="words.txt", POLICIES="blocked_words, length, mine.policies:Nice")
    assert [one.policy for one in section.policies] == ["blocked_words", "length", "mine.policies:Nice"]
    written = '[{"policy": "length", "max_chars": 20, "code": 120001, "text": "too long, sorry"}, "mine:nice"]'
    first, second = told.moderation(BLOCKED_WORDS_FILE="", POLICIES=written).policies
    assert (first.policy, first.max_chars, first.code, first.text) == ("length", 20, 120001, "too long, sorry")
    assert (second.policy, second.code) == ("mine:nice", None)


def test_the_same_stands_in_a_file(told: Told, tmp_path: Path) -> None:
    """TOML has lists and tables of its own."""
    (tmp_path / "pushlane.toml").write_text(
        '[moderation]\nsdk_app_ids = [1400000001]\ntokens = ["a", "b"]\nsource_networks = ["10.0.0.0/8"]\n'
        '[[moderation.policies]]\npolicy = "length"\ncode = 10100\n'
        '[channels.support]\nkind = "cinnox"\n[webhook.a]\ntoken = "x"\nrelay_channel = "support"\n'
    )
    section = told.moderation(SDK_APP_IDS="", TOKENS="")
    assert (section.sdk_app_ids, section.read_tokens()) == (("1400000001",), ("a", "b"))
    assert (section.policies[0].code, str(section.source_networks[0])) == (10100, "10.0.0.0/8")


def test_one_environment_serves_the_worker_and_the_callback(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads its own part, whatever the other's holds."""
    monkeypatch.setenv("PUSHLANE_CHANNELS__SUPPORT__KIND", "cinnox")
    monkeypatch.setenv("PUSHLANE_CHANNELS__SUPPORT__TOKEN_FILE", "/nowhere")
    monkeypatch.setenv("PUSHLANE_WEBHOOK__CINNOX__TOKEN", "x")
    monkeypatch.setenv("PUSHLANE_WEBHOOK__CINNOX__RELAY_CHANNEL", "support")
    monkeypatch.setenv("PUSHLANE_SLICE_S", "none")
    assert told.moderation().read_tokens() == (SECRET,)
    for name in ("SLICE_S", "CHANNELS__SUPPORT__KIND", "CHANNELS__SUPPORT__TOKEN_FILE"):
        monkeypatch.delenv(f"PUSHLANE_{name}")
    told.moderation(POLICIES="length")
    assert load_settings().channels == {}


POLICY = "MODERATION__POLICIES"
NETWORK = "must be networks or addresses like 192.0.2.0/24 or 2001:db8::1"
ONE_OR_TWO = "must hold one or two secrets of printable ASCII without spaces"
WRONG = [
    ("REDIS_URL", "", "is missing: Address of the queue's Redis"),
    ("REDIS_URL", "http://localhost", "must be an address like redis://localhost:6379/0"),
    ("RETENTION_S", "0", "greater than or equal to 1"),
    ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ("MODERATION__SDK_APP_IDS", "", "is missing: Your SDKAppIDs"),
    ("MODERATION__SDK_APP_IDS", ",", "at least 1 item"),
    ("MODERATION__SDK_APP_IDS", "my-app", "match pattern"),
    ("MODERATION__SDK_APP_IDS", "[1.5]", "valid string"),
    ("MODERATION__SDK_APP_IDS", "[1400000001", "must be comma-separated, or a JSON list"),
    ("MODERATION__SDK_APP_IDS", "14000\u06601", "match pattern"),
    ("MODERATION__TOKENS", ",", ONE_OR_TWO),
    ("MODERATION__TOKENS", "[]", ONE_OR_TWO),
    ("MODERATION__TOKENS", "a,b,c", "at most 2 items"),
    ("MODERATION__TOKENS", f"{SECRET} {SECRET}", ONE_OR_TWO),
    ("MODERATION__TOKENS", f"{SECRET}é", ONE_OR_TWO),
    ("MODERATION__TOKENS", f'["{SECRET}"', "must be comma-separated, or a JSON list"),
    ("MODERATION__UNSIGNED", "maybe", "valid boolean"),
    ("MODERATION__UNSIGNED", "true", "cannot be combined with TOKENS or TOKENS_FILE"),
    ("MODERATION__SOURCE_NETWORKS", "10.0.0.1/8", NETWORK),
    ("MODERATION__SOURCE_NETWORKS", "example.com", NETWORK),
    ("MODERATION__SOURCE_NETWORKS", "10.0.0.0/8,::/129", NETWORK),
    ("MODERATION__SOURCE_NETWORKS", "[10]", NETWORK),
    ("MODERATION__TRUSTED_PROXIES", "*", NETWORK),
    ("MODERATION__DEADLINE_S", "0.49", "greater than or equal to 0.5"),
    ("MODERATION__DEADLINE_S", "1.81", "less than or equal to 1.8"),
    ("MODERATION__DEADLINE_S", "nan", "less than or equal to 1.8"),
    ("MODERATION__DEADLINE_S", "soon", "valid number"),
    ("MODERATION__ON_ERROR", "discard", "'allow' or 'forbid'"),
    ("MODERATION__BLOCKED_WORDS_ACTION", "star", "'forbid' or 'mask'"),
    ("MODERATION__RELAY_CHANNEL", "Not A Channel", "must be lower-case letters"),
    ("MODERATION__RELAY_ROOM", "{To_Account}", "needs RELAY_CHANNEL"),
    (POLICY, "[7]", "valid dictionary"),
    (POLICY, '["length"', "must be comma-separated, or a JSON list"),
    ("MODERATION", "{", "valid dictionary"),
    ("WEBHOOK__SHOP__TOKEN", "", "set exactly one of TOKEN and TOKEN_FILE"),
    ("WEBHOOK__SHOP__TOKEN", "two words", "must hold one secret of printable ASCII"),
    ("WEBHOOK__SHOP__TOKEN", f"{SECRET}é", "must hold one secret of printable ASCII"),
    ("WEBHOOK__SHOP__TOKENS", "x", "did you mean PUSHLANE_WEBHOOK__SHOP__TOKEN?"),
    ("WEBHOOK__SHOP__RELAY_CHANNEL", "", "is missing: The channel that its messages go to."),
    ("WEBHOOK__SHOP__RELAY_CHANNEL", "Not A Channel", "must be lower-case letters"),
    ("WEBHOOK__SHOP__RELAY_TO", "{userID}", "names userID; the fields are userId and message.<field>"),
    ("WEBHOOK__SHOP__RELAY_TO", "{message}", "names message; the fields are userId and message.<field>"),
    ("WEBHOOK__SHOP__RELAY_TO", "{message.}", "the fields are userId and message.<field>"),
    ("WEBHOOK__SHOP__RELAY_TO", "{}", "the fields are userId and message.<field>"),
    ("WEBHOOK__SHOP__RELAY_TO", "im-{userId", "must use braces only around"),
    ("WEBHOOK", "x", "must be a JSON object; or set PUSHLANE_WEBHOOK__<NAME>__…"),
    ("API_KEYS__ORDERS__KEY", "", "set exactly one of KEY and KEY_FILE"),
    ("API_KEYS__ORDERS__KEY", "two words", "must hold one secret of printable ASCII"),
    ("API_KEYS__ORDERS__CHANNELS", "", "is missing: The channels that it may use."),
    ("API_KEYS__ORDERS__CHANNELS", "Not A Channel", "must be lower-case letters"),
    ("API_KEYS", "x", "must be a JSON object; or set PUSHLANE_API_KEYS__<NAME>__…"),
]


@pytest.mark.parametrize(("variable", "value", "allowed"), WRONG)
def test_a_wrong_value_is_one_line_with_its_name_and_what_is_allowed(
    told: Told, variable: str, value: str, allowed: str
) -> None:
    """Whoever reads the line can mend the setting without the documentation."""
    if variable == "MODERATION":
        variables = {"MODERATION": value, **{name: "" for name in RIGHT if name.startswith("MODERATION")}}
    elif variable in {"API_KEYS", "WEBHOOK"}:
        variables = {variable: value, **{name: "" for name in RIGHT if name.startswith(variable)}}
    else:
        variables = {variable: value}
    line = told.error(**variables)
    assert line.startswith(f"PUSHLANE_{variable}: ")
    assert allowed in line


@pytest.mark.parametrize(
    ("policy", "named", "allowed"),
    [
        ('{"code": 120001}', "POLICY", "is missing: `blocked_words`, `length`, or the Python path"),
        ('{"policy": "length", "cod": 1}', "COD", "; did you mean PUSHLANE_MODERATION__POLICIES__CODE?"),
        ('{"policy": "length", "max_chars": 0}', "MAX_CHARS", "greater than or equal to 1"),
        ('{"policy": "blocked_words", "max_chars": 9}', "MAX_CHARS", "is only for the policy length"),
        ('{"policy": "mine:nice", "max_chars": 9}', "MAX_CHARS", "is only for the policy length"),
        ('{"policy": "mine:nice", "code": 120001}', "CODE", "other policies choose their own"),
        ('{"policy": "mine:nice", "text": "x"}', "CODE", "other policies choose their own"),
        ('{"policy": "length", "text": "x"}', "TEXT", "needs a code"),
        ('{"policy": "length", "code": 120001, "text": "%s"}' % ("x" * 513), "TEXT", "at most 512 characters"),
        *(
            (f'{{"policy": "length", "code": {code}}}', "CODE", "must be 120001 to 130000 (C2C.")
            for code in (0, 1, 2, -1, 10099, 10201, 120000, 130001, 10**30)
        ),
        ('{"policy": "length", "code": "x"}', "CODE", "valid integer"),
        ('{"policy": "length", "code": 120001.5}', "CODE", "valid integer"),
    ],
)
def test_a_wrong_policy_is_named(told: Told, policy: str, named: str, allowed: str) -> None:
    """A code that no platform would show is refused, and so is an option that would have no effect."""
    line = told.error(MODERATION__POLICIES=f"[{policy}]")
    assert line.startswith(f"PUSHLANE_MODERATION__POLICIES__{named}: ")
    assert allowed in line


@pytest.mark.parametrize("code", [10100, 10200, 120001, 130000])
def test_a_code_of_either_command_may_be_set(told: Told, code: int) -> None:
    """Groups and one-to-one chats have each their own range."""
    assert told.moderation(POLICIES=f'[{{"policy": "length", "code": {code}}}]').policies[0].code == code


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MODERATON__TOKENS", "; did you mean PUSHLANE_MODERATION?"),
        ("MODERATION__TOKEN", "; did you mean PUSHLANE_MODERATION__TOKENS?"),
        ("MODERATION__BLOCKED_WORD_FILE", "; did you mean PUSHLANE_MODERATION__BLOCKED_WORDS_FILE?"),
        ("MODERATION__XYZZY", ""),
        ("API_KEYS__ORDERS__KEYFILE", "; did you mean PUSHLANE_API_KEYS__ORDERS__KEY_FILE?"),
        ("API_KEY__ORDERS__KEY", "; did you mean PUSHLANE_API_KEYS?"),
        ("XYZZY", ""),
    ],
)
def test_an_unknown_variable_stops_the_start_and_names_the_nearest(told: Told, variable: str, hint: str) -> None:
    """A misspelt setting is not silently a default: here that would let every message pass."""
    assert told.error(**{variable: "1"}) == f"PUSHLANE_{variable}: is not a setting of Pushlane{hint}"


# --- what belongs together ---------------------------------------------------------------------------------------


def test_settings_that_contradict_each_other_are_refused(told: Told) -> None:
    """The line names one of them and says why."""
    both = {"MODERATION__TOKENS_FILE": "/dev/null"}
    assert told.error(**both) == "PUSHLANE_MODERATION__TOKENS: set at most one of TOKENS and TOKENS_FILE"
    room = {"MODERATION__RELAY_CHANNEL": "support", "MODERATION__RELAY_ROOM": "r", "MODERATION__ROUTING": "a:b"}
    assert told.error(**both | {"MODERATION__TOKENS_FILE": ""} | room).endswith("one of RELAY_ROOM and ROUTING")


def test_unsigned_needs_source_networks(told: Told) -> None:
    """Otherwise anybody could make messages pass or disappear."""
    unsigned = {"MODERATION__TOKENS": "", "MODERATION__UNSIGNED": "true"}
    assert (
        told.error(**unsigned)
        == "PUSHLANE_MODERATION__UNSIGNED: needs SOURCE_NETWORKS: otherwise anybody could send requests"
    )
    assert told.moderation(TOKENS="", UNSIGNED="true", SOURCE_NETWORKS="10.0.0.0/8").unsigned


def test_blocked_words_need_their_file(told: Told) -> None:
    """A policy without words would allow everything."""
    assert told.error(MODERATION__POLICIES="blocked_words").startswith("PUSHLANE_MODERATION__BLOCKED_WORDS_FILE: is m")
    unused = told.error(MODERATION__POLICIES="length", MODERATION__BLOCKED_WORDS_FILE="words.txt")
    assert unused == "PUSHLANE_MODERATION__BLOCKED_WORDS_FILE: is set, but POLICIES does not name blocked_words"


@pytest.mark.parametrize(
    "template", ["{To}", "{}", "{to_account}", "{To_Account!r}", "{From Account}", "{To_Account", "}"]
)
def test_a_template_that_names_no_field_is_refused(told: Told, template: str) -> None:
    """A misspelt field would send every message to one wrong room."""
    line = told.error(MODERATION__RELAY_CHANNEL="support", MODERATION__RELAY_ROOM=template)
    assert line.startswith("PUSHLANE_MODERATION__RELAY_ROOM: ")


def test_a_template_may_name_every_documented_field(told: Told) -> None:
    """Fields may stand beside each other and beside text."""
    template = "tencent/" + "-".join(f"{{{name}}}" for name in sorted(REQUEST_FIELDS))
    assert told.moderation(RELAY_CHANNEL="support", RELAY_ROOM=template).relay_room == template


# --- secrets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (b"one\n", ("one",)),
        (b"one", ("one",)),
        (b"one\r\ntwo\r\n\r\n", ("one", "two")),
        (b"  one  \n\n\ntwo", ("one", "two")),
    ],
)
def test_a_tokens_file_holds_one_token_or_two(
    told: Told, tmp_path: Path, content: bytes, tokens: tuple[str, ...]
) -> None:
    """A line each, however the editor ended the lines."""
    (tmp_path / "tokens").write_bytes(content)
    assert told.moderation(TOKENS="", TOKENS_FILE="tokens").read_tokens() == tokens


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "missing cannot be read: No such file or directory"),
        (b"", ONE_OR_TWO),
        (b"\n \n", ONE_OR_TWO),
        (b"a\nb\nc", ONE_OR_TWO),
        (b"two words", ONE_OR_TWO),
        (SECRET.encode() + b"\xff", "cannot be read: it is not UTF-8"),
        (b"\0", ONE_OR_TWO),
    ],
)
def test_a_tokens_file_without_tokens_is_refused(
    told: Told, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """An empty one is a secret that was not mounted, and not the wish to go without."""
    path = tmp_path / "missing"
    if content is not None:
        path.write_bytes(content)
    line = told.error(MODERATION__TOKENS="", MODERATION__TOKENS_FILE=str(path))
    assert line.startswith("PUSHLANE_MODERATION__TOKENS_FILE: ")
    assert problem in line


def test_key_files_are_read_too(told: Told, tmp_path: Path) -> None:
    """A key in a file is one line."""
    path = tmp_path / "key"
    path.write_text("0ther\n")
    by_file = {"API_KEYS__ORDERS__KEY": "", "API_KEYS__ORDERS__KEY_FILE": str(path)}
    keys = told.all(**by_file).api_keys
    assert keys["orders"].read_key() == "0ther"
    for content in ("", "a\nb", "two words"):
        path.write_text(content)
        assert told.error(**by_file).startswith("PUSHLANE_API_KEYS__ORDERS__KEY_FILE: must hold one secret of")
    path.unlink()
    assert "cannot be read" in told.error(**by_file)


def test_the_page_needs_a_password_that_nobody_guesses(told: Told, tmp_path: Path) -> None:
    """Read anew each time; too short, missing or empty is one line without it, and there is no page by default."""
    assert told.all().dashboard is None
    path = tmp_path / "password"
    path.write_text("correct-horse\n")
    settings = told.all(DASHBOARD__PASSWORD_FILE=str(path), DASHBOARD__TRUSTED_PROXIES="10.0.0.1")
    assert settings.dashboard
    assert settings.dashboard.read_password() == "correct-horse"
    assert [str(one) for one in settings.trusted_proxies] == ["10.0.0.1/32"]
    path.write_text("elevenchars")
    with pytest.raises(SettingsError, match="at least 12 characters") as caught:
        settings.dashboard.read_password()
    assert "elevenchars" not in str(caught.value)
    for content in ("elevenchars", "", "correct-horse\nbattery-staple"):
        path.write_text(content)
        assert told.error(DASHBOARD__PASSWORD_FILE=str(path)).startswith("PUSHLANE_DASHBOARD__PASSWORD_FILE: must hold")
    path.unlink()
    assert "cannot be read" in told.error(DASHBOARD__PASSWORD_FILE=str(path))
    assert "is missing: A file with the password" in told.error(DASHBOARD__PASSWORD_FILE="")


def test_two_services_have_two_keys(told: Told) -> None:
    """Otherwise one of them would have the other's channels."""
    line = told.error(API_KEYS__BILLING__KEY="0rders-key", API_KEYS__BILLING__CHANNELS="billing")
    assert "is also the key of" in line
    assert "0rders-key" not in line


def test_a_webhook_has_a_token_or_two_and_goes_to_its_user(told: Told, tmp_path: Path) -> None:
    """Two in its file while it changes."""
    section = told.all(WEBHOOK__SHOP__RELAY_TO="").webhook["shop"]
    assert (section.read_tokens(), section.relay_channel, section.relay_to) == (("sh0p-token",), "support", "{userId}")
    path = tmp_path / "tokens"
    by_file = {"WEBHOOK__SHOP__TOKEN": "", "WEBHOOK__SHOP__TOKEN_FILE": str(path)}
    path.write_text("0ld\nn3w\n")
    assert told.all(**by_file).webhook["shop"].read_tokens() == ("0ld", "n3w")
    for content in ("", "a\nb\nc", "two words"):
        path.write_text(content)
        assert told.error(**by_file).startswith(f"PUSHLANE_WEBHOOK__SHOP__TOKEN_FILE: {ONE_OR_TWO}")
    path.unlink()
    assert "cannot be read" in told.error(**by_file)


@pytest.mark.parametrize("template", ["{userId}", "im-{userId}-{message.to.room}", "{message.a_b.0}", "lobby"])
def test_a_webhook_goes_where_its_template_says(told: Told, template: str) -> None:
    """What a message holds is documented nowhere: any field of it may be named."""
    assert told.all(WEBHOOK__SHOP__RELAY_TO=template).webhook["shop"].relay_to == template


def test_two_webhooks_have_two_tokens(told: Told, tmp_path: Path) -> None:
    """Otherwise one of them would have the other's messages; also when it is the second line of a file."""
    both = {"WEBHOOK__BAZAAR__RELAY_CHANNEL": "support"}
    line = told.error(**both, WEBHOOK__BAZAAR__TOKEN="sh0p-token")
    assert "is also the token of" in line
    assert "sh0p-token" not in line
    path = tmp_path / "tokens"
    path.write_text("0ther\nsh0p-token\n")
    line = told.error(**both, WEBHOOK__BAZAAR__TOKEN="", WEBHOOK__BAZAAR__TOKEN_FILE=str(path))
    assert "is also the token of" in line


def test_no_secret_is_shown(told: Told) -> None:
    """Neither a token nor a key is in what a debugger or a traceback prints."""
    shown = repr(told.all())
    assert not [secret for secret in (SECRET, "0rders-key", "sh0p-token") if secret in shown]


def test_a_secret_is_one_of_those_that_are_known() -> None:
    """Byte for byte, whatever a header holds; and nothing is one of none."""
    assert is_one_of(["a", "b"], "b")
    assert not is_one_of(["a", "b"], "c")
    assert not is_one_of(["a"], "a\udcff")
    assert not is_one_of(["é"], "\xc3\xa9")
    assert not is_one_of([], "")


# --- where it listens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_a_token_it_listens_on_loopback(told: Told, host: str) -> None:
    """For a first look, on one's own machine."""
    check_open(told.all(MODERATION__TOKENS=""), host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.0.2.1", "example.com", "127.0.0.1.example.com", "::ffff:0:0"]
)
def test_without_a_token_it_listens_nowhere_else(told: Told, host: str) -> None:
    """Unless it is told which networks may ask."""
    with pytest.raises(SettingsError, match=r"^PUSHLANE_MODERATION__TOKENS: is missing"):
        check_open(told.all(MODERATION__TOKENS=""), host)
    check_open(
        told.all(MODERATION__TOKENS="", MODERATION__UNSIGNED="true", MODERATION__SOURCE_NETWORKS="10.0.0.0/8"), host
    )


def test_without_moderation_webhooks_keys_and_page_there_is_nothing_to_serve(told: Told, tmp_path: Path) -> None:
    """A callback that would answer 404 to all is a forgotten setting."""
    nothing = dict.fromkeys((name for name in RIGHT if name != "REDIS_URL"), "")
    with pytest.raises(SettingsError, match="nothing to serve"):
        check_open(told.all(**nothing), "127.0.0.1")
    for section in ("API_KEYS", "WEBHOOK"):
        one = {name: value for name, value in RIGHT.items() if name.startswith(section)}
        check_open(told.all(**nothing | one), "0.0.0.0")
    password = tmp_path / "password"
    password.write_text("correct-horse")
    check_open(told.all(**nothing, DASHBOARD__PASSWORD_FILE=str(password)), "0.0.0.0")
