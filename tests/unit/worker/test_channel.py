"""What a process has of one channel: its token is the one that stands in the file now."""

from pathlib import Path

import pytest

from pushlane.errors import SettingsError
from pushlane_worker.channel_settings import ChannelSettings
from pushlane_worker.channels.channel import Channel, make_channel


def make(file: Path) -> Channel:
    """A channel whose token is in this file."""
    settings = ChannelSettings(
        kind="cinnox", base_url="https://api.example.com", app_id="app", token=None, token_file=file
    )
    return make_channel("support", settings, 10)


def sent(of: Channel) -> str:
    """What the next push says who it is."""
    return str(of.kind.request("room", b"", [b'"hi"']).headers["authorization"])


def test_a_token_that_changed_in_its_file_is_sent_with_the_next_push(tmp_path: Path) -> None:
    """Every process sees a new token by itself: none of them has to be refused first."""
    file = tmp_path / "token"
    file.write_text("first\n")
    channel = make(file)
    assert sent(channel) == sent(channel) == "Bearer first"
    file.write_text("second-one\n")
    assert sent(channel) == "Bearer second-one"


def test_a_file_that_was_put_in_its_place_is_seen(tmp_path: Path) -> None:
    """A secret of the same length and the same time is another file: Kubernetes and editors rename."""
    file, new = tmp_path / "token", tmp_path / "new"
    file.write_text("first")
    channel = make(file)
    new.write_text("other")
    new.replace(file)
    assert sent(channel) == "Bearer other"


@pytest.mark.parametrize("content", [None, "", "two words"])
def test_while_the_file_holds_no_token_the_last_one_stays(tmp_path: Path, content: str | None) -> None:
    """A file that is just being replaced stops no push, and its token is read as soon as it is there."""
    file = tmp_path / "token"
    file.write_text("first")
    channel = make(file)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert sent(channel) == sent(channel) == "Bearer first"
    file.write_text("second-one")
    assert sent(channel) == "Bearer second-one"


def test_a_channel_without_a_token_is_not_made(tmp_path: Path) -> None:
    """At the start a missing file is a wrong setting."""
    with pytest.raises(SettingsError, match="TOKEN_FILE"):
        make(tmp_path / "nowhere")


def test_a_new_token_is_told_once(tmp_path: Path) -> None:
    """The dispatcher asks each second: a gate that broke for the old token shall probe at once, and only once."""
    file = tmp_path / "token"
    file.write_text("first")
    channel = make(file)
    assert not channel.renewed()
    file.write_text("")
    assert not channel.renewed()
    file.write_text("second-one")
    assert channel.renewed()
    assert not channel.renewed()
