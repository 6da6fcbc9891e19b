"""A password in a file becomes part of the address, and no error shows it."""

from pathlib import Path

import pytest

from pushlane import Producer, QueueUnavailable
from pushlane.address import parse
from pushlane.enqueue_protocol import address_of
from pushlane.errors import SettingsError
from pushlane.password_file import with_password

PASSWORD = "s3cr3t/@:?#[] %41☃"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file, with the line's end that an editor leaves."""
    file = tmp_path / "redis-password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("url", "user", "place"),
    [
        ("redis://redis:6379/1", None, ("redis", 6379, 1, "")),
        ("redis://app@redis", "app", ("redis", 6379, 0, "")),
        ("rediss://[::1]:7000/2?ssl_cert_reqs=none", None, ("::1", 7000, 2, "")),
        ("redis://redis?db=3", None, ("redis", 6379, 3, "")),
        ("unix:///run/redis.sock?db=4", None, ("localhost", 6379, 4, "/run/redis.sock")),
    ],
)
def test_it_gets_into_every_form_of_address(
    file: Path, url: str, user: str | None, place: tuple[str, int, int, str]
) -> None:
    """Whatever characters it has; the rest of the address stays."""
    address = parse(with_password(url, file))
    assert (address.username, address.password) == (user, PASSWORD)
    assert (*address.nodes[0], address.db, address.path) == place


@pytest.mark.parametrize("url", ["redis+sentinel://app@h1:1,h2:2/service/0", "rediss+cluster://app@h1:1,h2:2"])
def test_it_gets_between_the_user_and_several_servers(file: Path, url: str) -> None:
    """Of sentinels or of a cluster."""
    address = parse(with_password(url, file))
    assert (address.username, address.password) == ("app", PASSWORD)
    assert [(node.host, node.port) for node in address.nodes] == [("h1", 1), ("h2", 2)]


def test_there_is_one_password(file: Path) -> None:
    """Two could differ."""
    with pytest.raises(SettingsError) as caught:
        with_password("redis://app:hidden@redis", file, "BROKER")
    assert str(caught.value) == "PUSHLANE_BROKER_PASSWORD_FILE: is set, but PUSHLANE_BROKER_URL has a password too"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file"),
        (b" \n", "is empty"),
        (b"s3cr3t\xff", "cannot be read: it is not UTF-8"),
        (b"s3cr3t\nanother\n", "has several lines: it must hold the password and nothing else"),
    ],
)
def test_a_file_without_one_password_is_refused(file: Path, content: bytes | None, problem: str) -> None:
    """Else a server without one would do."""
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        with_password("redis://redis", file)
    assert str(caught.value).startswith(f"PUSHLANE_REDIS_PASSWORD_FILE: {file} {problem}")
    assert "s3cr3t" not in str(caught.value)


def test_a_producer_finds_both_in_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file belongs to the environment's address, not to one that the caller gives."""
    monkeypatch.setenv("PUSHLANE_REDIS_PASSWORD_FILE", str(file))
    monkeypatch.delenv("PUSHLANE_REDIS_URL", raising=False)
    with pytest.raises(QueueUnavailable):
        Producer()
    monkeypatch.setenv("PUSHLANE_REDIS_URL", "redis://redis")
    assert parse(address_of(None)).password == PASSWORD
    assert address_of("redis://own") == "redis://own"
    file.unlink()
    with pytest.raises(ValueError, match=r"^PUSHLANE_REDIS_PASSWORD_FILE: .* cannot be read"):
        Producer()
