"""Content codings of an answer: gzip and deflate, which gateways apply although nobody asked for them."""

import zlib

_GZIP = (zlib.MAX_WBITS | 16,)
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
"""zlib's window bits for each coding. Servers call two formats deflate: in zlib's frame, as they should, or bare."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """The body without its content coding, at most ``limit + 1`` bytes of it: no more is ever unfolded.

    A coding that we do not know, and a body that is damaged, cut or followed by something else, leave it as it came.
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
