"""One connection: uvicorn's, with limits on how much an unknown peer may send, and how long it may send and read.

A connection that exceeds a limit is answered and closed, or only closed. Only a request's head counts: trailers are not
added to its headers, and an offer to upgrade is declined without losing the body behind it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pushlane.callback.http.web import problem
from pushlane.service.logs import logger

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from pushlane.callback.http.connection_limit import ConnectionLimit

PEER: Final = "pushlane.peer"
"""Key in ``scope["extensions"]``: holds the request's ``connection``, whose ``known`` is set once it shows a secret."""

HEAD_BYTES: Final = 16 * 1024
"""Of a request's head: ten times what the platform and a few proxies write."""
HEAD_LINES: Final = 100
REQUEST_BYTES: Final = 5 * 1024 * 1024
"""Of a whole request: the largest body, in chunks of 64 bytes and more, and trailers."""
PIPELINED: Final = 16
"""Requests that may wait behind the one that is being answered. Proxies do not pipeline."""
HEAD_S: Final = 5.0
"""From a new connection, or a head's first byte, to its last."""
ANSWER_S: Final = 15.0
"""From a complete head to the answer's end: 5 s for a body, twice 2 s for Redis."""
KEEP_ALIVE_S: Final = 75
"""Longer than the 60 s for which nginx keeps an idle connection: a request on one that is just closing gets no answer,
and the platform delivers."""
READ_S: Final = 5.0
"""For a peer that has stopped reading in the middle of its answer."""
REST_BYTES: Final = 64 * 1024
"""Of a body that continues after its answer: a small one is read to its end, so that the connection can be reused."""
LINGER_S: Final = 1.0
"""After the last answer, or for the rest of a body: a connection that is closed at once may lose the answer."""
LINGER_BYTES: Final = 4 * 1024 * 1024
"""How much is read and discarded after the last answer."""


class Connection(HttpToolsProtocol):
    """The protocol of each connection that uvicorn accepts; ``how`` is for uvicorn's own."""

    def __init__(self, limit: ConnectionLimit, **how: Any) -> None:  # noqa: ANN401 # uvicorn's to know
        super().__init__(**how)
        self.known = False
        self.deadline = self.loop.time() + HEAD_S
        self._limit = limit
        self._received = 0
        self._has_head = False
        self._lingers = False

    def end(self) -> None:
        """Closes it at once, whatever is in progress."""
        self.transport.abort()

    # --- called by the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begins, if there is room."""
        super().connection_made(transport)
        if not self._limit.admit(self, self._host()):
            logger().warning("connection.refused", reason="too many connections", address=self._host())
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._limit.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads in pieces that are no longer than a head may be."""
        self._unset_keepalive_if_required()
        for start in range(0, len(data), HEAD_BYTES):
            if self.transport.is_closing():
                return
            self._read(data[start : start + HEAD_BYTES])

    def pause_writing(self) -> None:
        """The peer does not read."""
        super().pause_writing()
        self._wait(READ_S)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._is_answering():
            self._work()
        elif not self._lingers and not self.transport.is_closing():
            self._wait(KEEP_ALIVE_S)

    # --- called by the parser ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self.scope["extensions"] = {PEER: {"connection": self}}
        if not self._is_answering():
            self.deadline = min(self.deadline, self.loop.time() + HEAD_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is ignored: proxies only check the head."""
        if self._has_head:
            return
        super().on_header(name, value)
        if len(self.headers) > HEAD_LINES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            raise ValueError

    def on_headers_complete(self) -> None:
        """A request begins. One with an offer to upgrade is parsed again without it."""
        if self.parser.should_upgrade():
            return
        if len(self.pipeline) >= PIPELINED:
            raise ValueError
        self._has_head = True
        super().on_headers_complete()
        self._work()

    def on_message_complete(self) -> None:
        """The request is whole, and another one may begin."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._has_head = False
            self._received = 0
            if not self._is_answering():
                self._wait(KEEP_ALIVE_S)

    def on_response_complete(self) -> None:
        """The request is answered: goes on with the next one, or ends."""
        is_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait(READ_S)
        elif not is_last:
            self._work()
        elif self.cycle.more_body:
            self._received = 0
            self._wait(LINGER_S)
        else:
            self._wait(KEEP_ALIVE_S)

    # -----------------------------------------------------------------------------------------------------------------

    def _read(self, piece: bytes) -> None:
        self._received += len(piece)
        if self._lingers:
            if self._received > LINGER_BYTES:
                self.end()
            return
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            self._decline(piece[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        if self._has_head:
            if self._received > REQUEST_BYTES:
                self.end()
            elif self._received > REST_BYTES and not self._is_answering():
                self._linger()
        elif self._received > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _decline(self, rest: bytes) -> None:
        """Reads the request again without the header Upgrade (RFC 9110, 7.8): llhttp leaves the body unread."""
        if self.parser.get_method() == b"CONNECT":
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [first, *(b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"), b"", rest]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._received = 0
        self._read(b"\r\n".join(lines))

    def _refuse(self, status: HTTPStatus) -> None:
        """Answers an invalid request, unless it follows one that is being answered, and closes."""
        if self._lingers or self.transport.is_closing():
            return
        logger().warning("connection.refused", reason=status.phrase, address=self._host())
        if self.pipeline:
            self.end()
            return
        is_answering = self._is_answering()
        if is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not (is_answering and self.cycle.response_started):
            self.transport.write(_answer(status))
        self._linger()

    def _linger(self) -> None:
        """Sends nothing more, and discards what the peer still sends."""
        self._unset_keepalive_if_required()
        self._lingers = True
        self._received = 0
        self.flow.resume_reading()
        self.transport.write_eof()
        self._wait(LINGER_S)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _host(self) -> str:
        return self.client[0] if self.client else ""

    def _work(self) -> None:
        if self.flow.write_paused:
            return
        self.deadline = self.loop.time() + ANSWER_S
        self._limit.work(self)

    def _wait(self, seconds: float) -> None:
        self.deadline = self.loop.time() + (READ_S if self.flow.write_paused else seconds)
        self._limit.wait(self)


def _answer(status: HTTPStatus) -> bytes:
    answer = problem(status, status.phrase, "not a request that this server accepts", headers={"connection": "close"})
    head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), head, bytes(answer.body))
