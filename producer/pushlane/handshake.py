"""Says in one line why TLS with a Redis failed, and what would be right.

redis-py quotes OpenSSL's functions and source lines instead. That the server demands a certificate of ours shows only
after the handshake: TLS 1.3 says so in an alert behind it, which a reset of the connection may swallow.
"""

from __future__ import annotations

import os
import ssl
from typing import Any, Final

import redis
from redis.asyncio import connection as asynchronous

_NO_AUTHORITY: Final = "is signed by an unknown authority: name that in the address, with ssl_ca_certs=FILE"
_OTHER_NAME: Final = "is for another name: the host in the address must be one that the certificate names"
_CERTIFICATE: Final = {
    9: "is not valid yet: it is new, or the clock here is slow",
    10: "has expired: the server needs a new one",
    18: "is self-signed: to trust it, name it in the address, with ssl_ca_certs=FILE",
    19: _NO_AUTHORITY,
    20: _NO_AUTHORITY,
    21: _NO_AUTHORITY,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""What is wrong with the server's certificate, by OpenSSL's X509_V_ERR code."""
_OURS: Final = "ssl_certfile=FILE and ssl_keyfile=FILE"
_OTHERS: Final = {
    "CERTIFICATE_REQUIRED": f"{{}} demands a client certificate: name it in the address, with {_OURS}",
    "HANDSHAKE_FAILURE": f"{{}} refuses the handshake: it may demand a client certificate ({_OURS} in the address)",
    "UNKNOWN_CA": "{} does not trust the authority of the client certificate",
    "KEY_VALUES_MISMATCH": "ssl_certfile and ssl_keyfile do not belong together",
    "NO_CERTIFICATE_OR_CRL_FOUND": "the file named by ssl_ca_certs has no certificate in PEM form",
}
"""What else is wrong, by the end of OpenSSL's reason."""
_FILES: Final = ("ca_certs", "ca_path", "certfile", "keyfile")
_CLOSED: Final = "Connection closed by server."
"""redis-py's words."""


def explaining(kind: type) -> tuple[type, ...]:
    """The mixin with which this redis-py connection class explains such failures; none without TLS."""
    if issubclass(kind, asynchronous.SSLConnection):
        return (_AsyncExplaining,)
    return (_Explaining,) if issubclass(kind, redis.SSLConnection) else ()


def problem(error: BaseException, connection: Any) -> str | None:  # noqa: ANN401 # of either kind
    """What is wrong, if TLS is the reason for this error in connecting."""
    where = f"{connection.host}:{connection.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE.get(error.verify_code, f"is refused: {error.verify_message}")
        return f"TLS: the certificate of {where} {known}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        known = next((words for end, words in _OTHERS.items() if reason.endswith(end)), "")
        return f"TLS: {known.format(where)}" if known else f"TLS with {where} failed: {reason or error.strerror}"
    if isinstance(error, FileNotFoundError | PermissionError):
        files = getattr(connection, "ssl_context", connection)  # asyncio's connection keeps them in an object
        unreadable = [name for name in _FILES if (path := getattr(files, name)) and not os.access(path, os.R_OK)]
        return f"TLS: the file named by ssl_{unreadable[0]} cannot be read: {error.strerror}" if unreadable else None
    return None


def _problem_behind(error: redis.ConnectionError, connection: Any) -> str | None:  # noqa: ANN401 # the same
    """The same for an error of the first commands, sent behind the handshake. A reply of the server has a subclass."""
    cause = error.__cause__ or error.__context__
    if type(error) is not redis.ConnectionError or not (isinstance(cause, OSError) or str(error) == _CLOSED):
        return None
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return problem(cause, connection)
    where = f"{connection.host}:{connection.port}"
    if getattr(connection, "ssl_context", connection).certfile:
        return f"TLS: {where} closed the connection after the handshake: it may not accept the client certificate"
    return f"TLS: {where} closed the connection after the handshake: it may demand a client certificate ({_OURS})"


class _Message:
    def _error_message(self, exception: BaseException) -> str:
        return problem(exception, self) or str(super()._error_message(exception))  # type: ignore[misc] # so has the class that it is mixed into


class _Explaining(_Message):
    def on_connect_check_health(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 # redis-py's signature
        try:
            super().on_connect_check_health(*args, **options)  # type: ignore[misc] # the class it is mixed into has it
        except redis.ConnectionError as error:
            if words := _problem_behind(error, self):
                raise redis.ConnectionError(words) from error
            raise


class _AsyncExplaining(_Message):
    async def on_connect_check_health(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 # redis-py's signature
        try:
            await super().on_connect_check_health(*args, **options)  # type: ignore[misc] # the same
        except redis.ConnectionError as error:
            if words := _problem_behind(error, self):
                raise redis.ConnectionError(words) from error
            raise
