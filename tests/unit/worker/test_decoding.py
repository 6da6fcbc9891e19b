"""Content codings: what is decoded, what is left as it came, and how far anything unfolds."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from pushlane_worker.decoding import decoded

PLAIN = b'{"code":0}'
LIMIT = 1000


def packed(data: bytes) -> bytes:
    """Gzip, the same at any time."""
    return gzip.compress(data, mtime=0)


def bare(data: bytes) -> bytes:
    """Deflate without zlib's frame, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", packed(PLAIN)),
        (" X-GZip ", packed(PLAIN)),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", bare(PLAIN)),
        ("identity", PLAIN),
        ("", PLAIN),
    ],
)
def test_what_gateways_send_is_decoded(coding: str, body: bytes) -> None:
    """Both codings, in the spellings and frames that are about."""
    assert decoded(body, coding, LIMIT) == PLAIN


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b""),
        ("gzip", PLAIN),
        ("gzip", packed(PLAIN)[:-1]),
        ("gzip", packed(PLAIN)[:-8] + bytes(8)),
        ("gzip", packed(PLAIN) + b"x"),
        ("gzip", packed(b"{") + packed(b"}")),
        ("deflate", packed(PLAIN)),
        ("br", b"\x0b\x04\x80"),
        ("gzip, gzip", packed(packed(PLAIN))),
    ],
)
def test_what_is_damaged_or_unknown_stays_as_it_came(coding: str, body: bytes) -> None:
    """Nothing of a cut or doubled answer is taken for an answer."""
    assert decoded(body, coding, LIMIT) == body


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, 10_000_000])
@pytest.mark.parametrize(("coding", "pack"), [("gzip", packed), ("deflate", zlib.compress), ("deflate", bare)])
def test_nothing_unfolds_beyond_the_limit(coding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    """One byte more says that it is too long; the rest is never made."""
    assert len(decoded(pack(b" " * size), coding, LIMIT)) == min(size, LIMIT + 1)
