"""Content codings of an answer: gzip and deflate, which some gateways apply unasked."""

import zlib

_GZIP = (zlib.MAX_WBITS | 16,)
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
"""zlib's window bits for each coding. Servers use "deflate" for two formats: zlib, as specified, and raw deflate."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """The decoded body, at most ``limit + 1`` bytes: no more is ever decompressed.

    If the coding is unknown, or the body is damaged, truncated or followed by other data, it is returned unchanged.
    """
    for window in _WINDOWS.get(coding.strip().lower(), ()):
        reader = zlib.decompressobj(window)
        try:
            plain = reader.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit or (reader.eof and not reader.unused_data):
            return plain
    return body
