"""A channel's own settings: what they may be, and that a wrong one or a wrong token stops the start."""

from pathlib import Path

import pytest
from support.environment import CHANNEL, ROOT, SECRET, THIRD_PARTY, Tell

from pushlane_worker.channel_settings import RateLimit
from pushlane_worker.channels.channel import channel_record
from pushlane_worker.settings import load_settings

pytestmark = pytest.mark.usefixtures("clean_environment")


# --- what is right -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["10,20", " 10 , 20 ,", "[10, 20]", " [10,20]"])
def test_codes_are_a_json_list_or_separated_by_commas(tell: Tell, value: str) -> None:
    """Both ways that operators write lists mean the same."""
    assert tell(retry_codes=value, reject_codes=value).retry_codes == {10, 20}
    assert tell(retry_codes=value, reject_codes=value).reject_codes == {10, 20}


def test_a_single_code_is_a_list_of_one(tell: Tell) -> None:
    """A lone number is not taken for something else."""
    assert tell(retry_codes="6451001").retry_codes == {6_451_001}


@pytest.mark.parametrize(
    ("value", "limit"),
    [("500/60s", RateLimit(500, 60)), ("1/1s", RateLimit(1, 1)), ("9999999/99999s", RateLimit(9_999_999, 99_999))],
)
def test_a_rate_limit_is_pushes_in_a_window(tell: Tell, value: str, limit: RateLimit) -> None:
    """It reads as the API's own documentation writes it, and prints as it was read."""
    assert tell(rate_limit=value).rate_limit == limit
    assert str(limit) == value


def test_no_rate_limit_has_to_be_said(tell: Tell) -> None:
    """``none`` takes the limit away, and the record says 0 to the scripts."""
    assert tell(rate_limit="none").rate_limit is None
    assert channel_record(load_settings(), "support")["rate_limit"] == 0


@pytest.mark.parametrize("value", ["12345", "true", "null", "1e3", "[1]", '{"a":1}', '"quoted"'])
def test_what_looks_like_json_is_still_text(tell: Tell, value: str) -> None:
    """An app id or a token of digits stays the text that it is."""
    channel = tell(app_id=value, token=value)
    assert channel.app_id == value
    assert channel.read_token() == value


def test_the_channels_record_holds_no_secret(tell: Tell) -> None:
    """What workers write to Redis has neither the token nor the account nor the address."""
    written = str(channel_record(tell.all({**ROOT, **CHANNEL}), "support"))
    for secret in (SECRET, "api.example.com", "'app'"):
        assert secret not in written


def test_a_third_party_channel_is_an_address_and_a_token(tell: Tell) -> None:
    """Its record says one message a push; and no limit of an unknown address is assumed."""
    settings = tell.all({**ROOT, **THIRD_PARTY})
    channel, record = settings.channels["support"], channel_record(settings, "support")
    assert (channel.address, channel.read_token()) == ("https://hook.example.com/webhookUrl", SECRET)
    assert channel.rate_limit is None
    assert (record["kind"], record["batch_limit"], record["rate_limit"]) == ("third_party", 1, 0)
    assert "hook.example.com" not in str(record)
    limited = tell.all({**ROOT, **THIRD_PARTY, "PUSHLANE_CHANNELS__SUPPORT__RATE_LIMIT": "5/1s"})
    assert limited.channels["support"].rate_limit == RateLimit(5, 1)


# --- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_is_never_shown(tell: Tell) -> None:
    """Settings end up in logs and tracebacks; tokens do not."""
    settings = tell.all({**ROOT, **CHANNEL})
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_token_may_come_from_a_file_and_is_read_each_time(tell: Tell, tmp_path: Path) -> None:
    """A rotated token is found by the next look at its file, without a restart."""
    file = tmp_path / "token"
    file.write_text("first\n")
    channel = tell(token="", token_file=str(file))
    assert channel.read_token() == "first"
    file.write_text("  second \n")
    assert channel.read_token() == "second"


@pytest.mark.parametrize("content", ["", "\n", "two words", "tök", "two\nlines", "\0"])
def test_a_file_without_a_right_token_stops_the_start(tell: Tell, tmp_path: Path, content: str) -> None:
    """The line names the variable of the file, and says nothing of its content."""
    file = tmp_path / "token"
    file.write_text(content)
    line = tell.error(CHANNELS__SUPPORT__TOKEN="", CHANNELS__SUPPORT__TOKEN_FILE=str(file))
    assert line.startswith("PUSHLANE_CHANNELS__SUPPORT__TOKEN_FILE: must hold one token")


def test_a_token_file_that_can_not_be_read_stops_the_start(tell: Tell, tmp_path: Path) -> None:
    """A missing file, a folder, and bytes that are not text give other errors than a wrong token."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("missing", "bytes", "."):
        line = tell.error(CHANNELS__SUPPORT__TOKEN="", CHANNELS__SUPPORT__TOKEN_FILE=str(tmp_path / name))
        assert line.startswith("PUSHLANE_CHANNELS__SUPPORT__TOKEN_FILE: cannot be read: ")
        assert "0xff" not in line, "a part of the token"


def test_exactly_one_of_token_and_token_file_is_set(tell: Tell) -> None:
    """Neither is no channel, and both is a question that we do not answer by guessing."""
    expected = "PUSHLANE_CHANNELS__SUPPORT: set exactly one of TOKEN and TOKEN_FILE"
    assert tell.error(CHANNELS__SUPPORT__TOKEN="") == expected
    assert tell.error(CHANNELS__SUPPORT__TOKEN_FILE="/run/secrets/token") == expected


@pytest.mark.parametrize("token", [f"{SECRET} x", f" {SECRET}", f"{SECRET}ü", f"{SECRET}\n"])
def test_a_token_that_no_header_takes_is_refused_without_being_shown(tell: Tell, token: str) -> None:
    """A blank at its end is the usual slip of a copied token."""
    line = tell.error(CHANNELS__SUPPORT__TOKEN=token)
    assert line == "PUSHLANE_CHANNELS__SUPPORT: TOKEN must be printable ASCII without spaces"


# --- proxies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "url", "shown"),
    [
        ("http://proxy", "http://proxy", {}),
        ("http://proxy:3128/", "http://proxy:3128", {}),
        ("http://[::1]:3128", "http://[::1]:3128", {}),
        ("http://u:p@proxy:3128", "http://proxy:3128", {"Proxy-Authorization": "Basic dTpw"}),
        ("http://u@proxy", "http://proxy", {"Proxy-Authorization": "Basic dTo="}),
        ("http://u:p%40%3A%2F:x@proxy", "http://proxy", {"Proxy-Authorization": "Basic dTpwQDovOng="}),
    ],
)
def test_a_proxy_is_an_address_with_or_without_credentials(
    tell: Tell, value: str, url: str, shown: dict[str, str]
) -> None:
    """The credentials leave the address, which is printed, for a header, which is not."""
    proxy = tell(proxy_url=value).proxy_url
    assert proxy is not None
    assert (proxy.url, proxy.headers) == (url, shown)


def test_a_proxys_credentials_are_never_shown(tell: Tell) -> None:
    """They are no more for logs than a token is."""
    settings = tell.all({**ROOT, **CHANNEL, "PUSHLANE_CHANNELS__SUPPORT__PROXY_URL": f"http://{SECRET}:{SECRET}@p"})
    said = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    header = settings.channels["support"].proxy_url
    assert header is not None
    assert not [secret for secret in (SECRET, header.headers["Proxy-Authorization"].split()[1]) if secret in said]


@pytest.mark.parametrize(
    "value", ["proxy:3128", "https://proxy", "socks5://proxy", "http://", "http://u@@p", "http://p/path", "http://a b"]
)
def test_what_is_no_http_proxy_stops_the_start(tell: Tell, value: str) -> None:
    """Pushes that went past the proxy would be the last thing that somebody wants who has set one."""
    line = tell.error(CHANNELS__SUPPORT__PROXY_URL=value.replace("u@", f"{SECRET}@"))
    assert line.startswith("PUSHLANE_CHANNELS__SUPPORT__PROXY_URL: must be like http://proxy:3128")


# --- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "changes", "expected"),
    [
        (CHANNEL, {"APP_ID": ""}, "APP_ID: is missing: The app ID; required for `cinnox`."),
        (CHANNEL, {"URL": "https://h"}, "URL: goes with KIND=third_party; KIND=cinnox takes BASE_URL and APP_ID"),
        (CHANNEL, {"KIND": "third_party"}, "BASE_URL: goes with KIND=cinnox; KIND=third_party takes URL"),
        (THIRD_PARTY, {"URL": ""}, "URL: is missing: The whole address"),
        (THIRD_PARTY, {"APP_ID": "app"}, "APP_ID: goes with KIND=cinnox; KIND=third_party takes URL"),
        (THIRD_PARTY, {"KIND": "cinnox"}, "BASE_URL: is missing: The API's base address"),
        (THIRD_PARTY, {"URL": "hook.example.com"}, "URL: must be like https://"),
    ],
)
def test_each_kind_has_its_own_address(
    tell: Tell, channel: dict[str, str], changes: dict[str, str], expected: str
) -> None:
    """A setting of the other kind, or one that is not there, is one line that says what this kind takes."""
    names = {f"CHANNELS__SUPPORT__{name}": value for name, value in changes.items()}
    assert tell.error(channel, **names).startswith(f"PUSHLANE_CHANNELS__SUPPORT__{expected}")


@pytest.mark.parametrize("value", ["a,b", "[1", "1;2", "1.5", '["a"]'])
def test_codes_that_are_no_numbers_are_refused_by_their_name(tell: Tell, value: str) -> None:
    """A list that cannot be read is not an empty list."""
    assert tell.error(CHANNELS__SUPPORT__RETRY_CODES=value).startswith("PUSHLANE_CHANNELS__SUPPORT__RETRY_CODES: ")


@pytest.mark.parametrize("value", ["abc", "[]", "7", "{"])
def test_channels_that_are_no_table_are_refused_by_their_name(tell: Tell, value: str) -> None:
    """The line names the variable, not the file, when the environment is wrong."""
    assert tell.error(CHANNELS=value).startswith("PUSHLANE_CHANNELS: ")


@pytest.mark.parametrize("name", ["1ST", "MY-SHOP", "A" * 33])
def test_a_channels_name_is_checked(tell: Tell, name: str) -> None:
    """A name that producers could not use is found at the start."""
    channel = {variable.replace("SUPPORT", name): value for variable, value in CHANNEL.items()}
    line = tell.error(**{variable.removeprefix("PUSHLANE_"): value for variable, value in channel.items()})
    assert line.startswith(f"PUSHLANE_CHANNELS: {name.lower()}: a channel's name must be")
