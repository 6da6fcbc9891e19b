"""Every setting of the callback that is wrong stops the start with one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.callback_settings import ONE_OR_TWO, RIGHT, SECRET, Told

from pushlane.callback.policy_settings import PolicySettings
from pushlane.callback.settings import (
    REQUEST_FIELDS,
    ApiKeySettings,
    CallbackSettings,
    DashboardSettings,
    ModerationSettings,
    WebhookSettings,
)
from pushlane.service.configuration import NAMES
from pushlane_worker.settings import Settings, load_settings

SECTIONS = CallbackSettings, ModerationSettings, ApiKeySettings, WebhookSettings, DashboardSettings, PolicySettings

pytestmark = pytest.mark.usefixtures("clean_environment")


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
WRONG = [
    ("REDIS_URL", "", "is missing: Address of the queue's Redis"),
    ("REDIS_URL", "http://localhost", "must be an address like redis://localhost:6379/0"),
    ("RETENTION_S", "0", "greater than or equal to 1"),
    ("LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ("MODERATION__SDK_APP_IDS", "", "is missing: Your SDKAppIDs"),
    ("MODERATION__SDK_APP_IDS", ",", "at least 1 item"),
    ("MODERATION__SDK_APP_IDS", "my-app", "must be numbers like 1400000001"),
    ("MODERATION__SDK_APP_IDS", "[1.5]", "valid string"),
    ("MODERATION__SDK_APP_IDS", "[1400000001", "must be comma-separated, or a JSON list"),
    ("MODERATION__SDK_APP_IDS", "14000\u06601", "must be numbers like"),
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


@pytest.mark.parametrize("template", ["{userId}", "im-{userId}-{message.to.room}", "{message.a_b.0}", "lobby"])
def test_a_webhook_goes_where_its_template_says(told: Told, template: str) -> None:
    """What a message holds is documented nowhere: any field of it may be named."""
    assert told.all(WEBHOOK__SHOP__RELAY_TO=template).webhook["shop"].relay_to == template
