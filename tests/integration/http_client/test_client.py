"""The way out as a client: what a request is on the wire, and its transport under httpx."""

import asyncio
from unittest.mock import AsyncMock

import aiohttp
import httpx
import pytest
from aiohttp.http import HttpProcessingError
from hostile import OK, answering, deaf, serving, wait_until
from support.channels import channel_with
from support.pushing import exchange, push, pushing

from pushlane_worker.channels.cinnox import Cinnox
from pushlane_worker.channels.http import AiohttpTransport
from pushlane_worker.errors import PushUnanswered
from pushlane_worker.queue.outcome import Answer

# --- requests ----------------------------------------------------------------------------------------------------


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY on a host must not lead pushes and their token elsewhere."""
    async with serving(answering(OK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("http_proxy", proxy.url())
        assert (await exchange(answering(OK))).status == 200
    assert proxy.connections == 0


async def test_a_request_arrives_as_it_was_built() -> None:
    """Path escapes, headers and body are httpx's to say."""
    settings = channel_with(base_url="http://x", app_id="a/b c")
    request = Cinnox(settings, lambda: "secret").request("room", b"", [b'"hi"'])
    async with serving(answering(OK)) as server, pushing() as client:
        request.url = request.url.copy_with(host="127.0.0.1", port=server.port)
        await client.exchange(request)
    first, *lines = server.heads[0].decode().strip().split("\r\n")
    assert first == "POST /v1/api/apps/a%2Fb%20c/message-push HTTP/1.1"
    sent = [f"{name}: {value}" for name, value in request.headers.multi_items()]
    assert sorted(line.lower() for line in lines) == sorted(line.lower() for line in sent)
    assert server.bodies == [b'{"roomID":"room","messages":[{"type":"text","text":"hi"}]}']


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_bare_request_gets_no_headers_of_aiohttp(method: str) -> None:
    """No user agent, no types, no compression that nobody asked for, and no escape is decoded on the way."""
    async with serving(answering(OK)) as server, pushing() as client:
        request = httpx.Request(method, f"http://127.0.0.1:{server.port}/a%2Fb%7Ec")
        await client.exchange(request)
    first, *lines = server.heads[0].decode().strip().split("\r\n")
    assert first == f"{method} /a%2Fb%7Ec HTTP/1.1"
    assert sorted(line.split(":")[0].lower() for line in lines) == sorted(request.headers)


async def test_a_header_that_would_be_two_does_not_leave() -> None:
    """Settings refuse such a token; were one to come here, no header of its own would reach the server."""
    async with serving(answering(OK)) as server, pushing() as client:
        request = push(server.url())
        request.headers["authorization"] = "Bearer a\r\nX-Injected: b"
        with pytest.raises(PushUnanswered, match="could not be written"):
            await client.exchange(request)
    assert server.heads == []


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


# --- as a transport of httpx -------------------------------------------------------------------------------------


async def test_the_transport_keeps_httpx_timeouts() -> None:
    """Whoever puts an httpx client in front gets httpx's own timeout errors, by stage."""
    async with serving(deaf) as server, httpx.AsyncClient(transport=AiohttpTransport(), timeout=0.2) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(server.url(), content=b"{}")
        server.scheme = "https"
        with pytest.raises(httpx.ConnectTimeout):
            await client.post(server.url(), content=b"{}")


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


async def test_any_transport_of_httpx_serves() -> None:
    """A handler function is the whole fake."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"code": 0, "path": request.url.path}))
    async with pushing(transport) as client:
        answer = await client.exchange(push("http://x/push"))
    assert answer == Answer(200, answer.headers, b'{"code":0,"path":"/push"}')


async def test_a_transport_that_does_not_tell_its_stage_is_unanswered_at_the_deadline() -> None:
    """Only who says that nothing was sent is believed."""

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with pushing(httpx.MockTransport(never), deadline_s=0.05) as client:
        with pytest.raises(PushUnanswered):
            await client.exchange(push("http://x/push"))
