"""What ``status``, ``send`` and ``check`` say of a Redis that TLS must not talk to."""

import pytest
from support.command import pushlane
from support.tls import FAULTS, PASSWORD, Secured

from pushlane_worker.embedded import EmbeddedServer


@pytest.mark.parametrize("words", ["status", "send support --room r hello"])
def test_a_command_fails_with_one_line(refused: Secured, fault: str, words: str) -> None:
    """Which names the setting and what is wrong."""
    ended = pushlane(*words.split(), redis_url=refused.url)
    ended.refused(1, "PUSHLANE_REDIS_URL: the queue is unavailable: TLS: ", FAULTS[fault].format(refused.where))
    assert PASSWORD not in ended.err


@pytest.mark.parametrize(
    ("setting", "begins"),
    [("PUSHLANE_REDIS_URL", "failed   PUSHLANE_REDIS_URL: TLS: "), ("PUSHLANE_BROKER_URL", "failed   broker: PUSHLA")],
)
def test_check_has_one_line_for_the_state_and_one_for_the_broker(
    server: EmbeddedServer, refused: Secured, fault: str, setting: str, begins: str
) -> None:
    """Only the refused one fails."""
    addresses = {"PUSHLANE_REDIS_URL": server.url, "PUSHLANE_BROKER_URL": server.url, setting: refused.url}
    ended = pushlane("check", settings=addresses)
    (failed,) = [line for line in ended.out.splitlines() if line.startswith("failed")]
    assert failed.startswith(begins)
    assert f"{setting}: TLS: " in failed
    assert FAULTS[fault].format(refused.where) in failed
    assert (ended.code, ended.err) == (1, "")
    assert PASSWORD not in ended.out
