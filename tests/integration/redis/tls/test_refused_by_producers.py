"""A Redis that TLS must not talk to: what both producers say of it."""

import pytest
from support.producers import HELLO, Open
from support.tls import FAULTS, PASSWORD, Certificates, Secured

from pushlane import QueueUnavailable


def test_a_producer_says_in_one_line_what_is_wrong_and_what_would_be_right(
    refused: Secured, fault: str, open_door: Open
) -> None:
    """Without OpenSSL's source lines, and without the password."""
    door = open_door(refused.url)
    with pytest.raises(QueueUnavailable) as raised:
        door.send("support", HELLO)
    line = str(raised.value)
    assert line.startswith("the queue is unavailable: TLS: ")
    assert FAULTS[fault].format(refused.where) in line
    assert "\n" not in line
    assert "_ssl.c" not in line
    assert PASSWORD not in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{ca}&ssl_certfile={0}/other.pem&ssl_keyfile={0}/other.key", "client certificate"),
        ("{ca}&ssl_certfile={0}/client.pem&ssl_keyfile={0}/other.key", "ssl_certfile and ssl_keyfile do not belong"),
        ("{ca}&ssl_certfile={0}/client.pem&ssl_keyfile=/none.key", "named by ssl_keyfile cannot be read: No such file"),
        ("ssl_ca_certs=/none.pem", "the file named by ssl_ca_certs cannot be read: No such file or directory"),
        ("ssl_ca_certs={0}/client.key", "the file named by ssl_ca_certs has no certificate in PEM form"),
    ],
)
def test_a_file_of_ours_that_is_wrong_is_named(
    accepted: Secured, certificates: Certificates, open_door: Open, options: str, words: str
) -> None:
    """By its parameter in the address."""
    options = options.format(certificates.folder, ca=certificates.trusted)
    door = open_door(f"rediss://{accepted.where}/0?{options}")
    with pytest.raises(QueueUnavailable, match=f"^the queue is unavailable: TLS: .*{words}"):
        door.send("support", HELLO)
