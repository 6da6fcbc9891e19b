"""The way out as a client: what a request is on the wire, and that every error is one of ours."""

import asyncio
from unittest.mock import AsyncMock

import aiohttp
import pytest
from aiohttp.http import HttpProcessingError
from hostile import OK, answering, deaf, serving, wait_until
from support.pushing import exchange, push, pushing

from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.errors import PushNotSent, PushUnanswered
from pushlane_worker.queue.outcome import PushRequest

# --- requests ----------------------------------------------------------------------------------------------------


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY on a host must not lead pushes and their token elsewhere."""
    async with serving(answering(OK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("http_proxy", proxy.url())
        assert (await exchange(answering(OK))).status == 200
    assert proxy.connections == 0


async def test_a_request_arrives_as_it_was_built() -> None:
    """Path escapes, headers and body; the client adds where it goes, its length and that it wants no compression."""
    async with serving(answering(OK)) as server, pushing() as client:
        base_url = f"http://127.0.0.1:{server.port}"
        request = Cinnox(base_url=base_url, app_id="a/b c", token="secret").request("room", b"", [b'"hi"'])
        await client.exchange(request)
    first, *lines = server.heads[0].decode().strip().split("\r\n")
    assert first == "POST /v1/api/apps/a%2Fb%20c/message-push HTTP/1.1"
    added = {"Host": f"127.0.0.1:{server.port}", "Content-Length": len(request.body), "Accept-Encoding": "identity"}
    assert sorted(lines) == sorted(f"{name}: {value}" for name, value in {**request.headers, **added}.items())
    assert server.bodies == [b'{"roomID":"room","messages":[{"type":"text","text":"hi"}]}']


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_a_bare_request_gets_no_headers_of_aiohttp(body: bytes) -> None:
    """No user agent, no types, no compression that nobody asked for, and no escape is decoded on the way."""
    async with serving(answering(OK)) as server, pushing() as client:
        await client.exchange(PushRequest(f"http://127.0.0.1:{server.port}/a%2Fb%7Ec", {}, body))
    first, *lines = server.heads[0].decode().strip().split("\r\n")
    assert first == "POST /a%2Fb%7Ec HTTP/1.1"
    assert sorted(line.split(":")[0].lower() for line in lines) == ["accept-encoding", "content-length", "host"]
    assert server.bodies == [body]


async def test_a_header_that_would_be_two_does_not_leave() -> None:
    """Settings refuse such a token; were one to come here, no header of its own would reach the server."""
    async with serving(answering(OK)) as server, pushing() as client:
        request = PushRequest(server.url(), {"Authorization": "Bearer a\r\nX-Injected: b"}, b"{}")
        with pytest.raises(PushUnanswered, match="could not be written"):
            await client.exchange(request)
    assert server.heads == []


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        HttpProcessingError(code=400),
        aiohttp.ClientError(),
        aiohttp.ClientConnectionError(),
        aiohttp.ClientConnectionResetError(),
        aiohttp.ClientPayloadError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.SocketTimeoutError(),
        OSError("unknown"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_no_error_of_aiohttp_leaves_the_transport(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever aiohttp raises outside its connector, also what no server here provokes, is an unanswered push."""
    monkeypatch.setattr(aiohttp.ClientRequest, "send", AsyncMock(side_effect=error))
    with pytest.raises(PushUnanswered, match="the "):
        await exchange(answering(OK))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TimeoutError(110, "Connection timed out"), "Connection timed out"),
        (OSError(113, "No route to host"), "No route to host"),
        (aiohttp.ClientConnectionError("hung up"), "hung up"),
        (ZeroDivisionError("a fault in a library"), "a fault in a library"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
async def test_whatever_prevents_a_connection_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    """The system has time limits of its own, which may be shorter than the push's."""
    monkeypatch.setattr(aiohttp.TCPConnector, "connect", AsyncMock(side_effect=error))
    with pytest.raises(PushNotSent, match=why):
        await exchange(answering(OK))


async def test_a_time_limit_of_the_system_is_told_from_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the system gives up in mid-push is not a push that took too long."""
    monkeypatch.setattr(aiohttp.ClientRequest, "send", AsyncMock(side_effect=TimeoutError(110, "Connection timed out")))
    with pytest.raises(PushUnanswered, match="the connection broke: Connection timed out"):
        await exchange(answering(OK))


async def test_a_fault_of_ours_is_not_a_broken_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches the log with its traceback, and must not pass for the network's."""
    monkeypatch.setattr(aiohttp.ClientRequest, "send", AsyncMock(side_effect=ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        await exchange(answering(OK))


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_cancelled_push_stays_cancelled(scheme: str) -> None:
    """A stop of the worker is no timeout: cancellation passes through, while connecting and while waiting."""
    async with serving(deaf) as server, pushing() as client:
        server.scheme = scheme
        task = asyncio.create_task(client.exchange(push(server.url())))
        await wait_until(lambda: server.connections == 1, "the connection")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
