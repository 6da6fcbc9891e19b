"""The fake API on a real socket: it counts right, and it misbehaves exactly as told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import httpx
import pytest
from pydantic import ValidationError

from pushlane_worker.fake_api import Control, Cut, Fail, FakeApi, FakeApiClient, Garbage, Stall

T = TypeVar("T")

PATH = "/v1/api/apps/demo/message-push"


class Sender:
    """Pushes to the fake API as a worker would."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def push(self, *texts: str, room: str = "r1", timeout: float = 10) -> httpx.Response:  # noqa: ASYNC109 # httpx has it
        """Send one push."""
        messages = [{"type": "text", "text": text} for text in texts]
        return await self.http.post(PATH, json={"roomID": room, "messages": messages}, timeout=timeout)

    async def statuses(self, count: int) -> list[int]:
        """Send some pushes of one message, one after another, and return their statuses."""
        return [(await self.push(f"hello #{number}")).status_code for number in range(1, count + 1)]


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A fake API with its defaults."""
    async with FakeApi() as running:
        yield running


@pytest.fixture
async def sender(api: FakeApi) -> AsyncIterator[Sender]:
    """A sender with the right token."""
    async with httpx.AsyncClient(base_url=api.url, headers={"Authorization": "Bearer pushlane-demo"}) as http:
        yield Sender(http)


async def blocking(call: Callable[[], T]) -> T:
    """Run the synchronous client while the fake API's loop goes on."""
    return await asyncio.to_thread(call)


async def test_an_accepted_push_is_answered_and_kept(api: FakeApi, sender: Sender) -> None:
    """Success is 200 and code 0, and the record has text, sender and receiver in the order of arrival."""
    room = "a/b%2F?\N{GRINNING FACE}"
    body = {"roomID": room, "senderEID": "e1", "messages": [{"type": "text", "text": text} for text in ("one", "two")]}
    response = await sender.http.post(PATH, json=body)
    assert (response.status_code, response.json()) == (200, {"code": 0, "result": {}})
    client = FakeApiClient(api.url)
    kept = await blocking(lambda: client.room(room))
    assert [(entry.text, entry.sender, entry.receiver) for entry in kept] == [("one", "e1", None), ("two", "e1", None)]
    summary = await blocking(client.record)
    assert (summary.accepted, summary.distinct, summary.rooms, summary.pushes) == (2, 2, 1, 1)
    assert summary.first_accept_ms == summary.last_accept_ms == kept[0].at_ms
    assert await blocking(client.rooms) == {room: 2}


async def test_a_wrong_token_is_refused_until_it_is_the_right_one(api: FakeApi, sender: Sender) -> None:
    """A token can be rotated at run time, and a refused push leaves nothing but its status."""
    api.change(token="new")
    assert (await sender.push("hello")).json()["code"] == 401
    sender.http.headers["Authorization"] = "Bearer new"
    assert (await sender.push("hello")).status_code == 200
    assert api.record.summary().by_status == {401: 1, 200: 1}
    assert api.record.texts("r1") == ["hello"]


async def test_an_unknown_path_is_no_push(sender: Sender) -> None:
    """A wrong base address shows as 404 in the API's own form."""
    assert (await sender.http.post("/v2" + PATH)).json()["code"] == 6450001
    assert (await sender.http.get("/_nothing")).status_code == 404


async def test_pushes_over_the_rate_limit_are_told_when_to_come_back(api: FakeApi, sender: Sender) -> None:
    """The third push in a window of two answers 429, code 6451010 and whole seconds, and is not recorded."""
    api.change(rate_limit="2/60s")
    assert await sender.statuses(2) == [200, 200]
    refused = await sender.push("hello #3")
    assert (refused.status_code, refused.json()["code"]) == (429, 6451010)
    assert refused.headers["Retry-After"] in {"59", "60"}
    assert api.record.texts("r1") == ["hello #1", "hello #2"]


async def test_the_wait_can_be_kept_from_the_client(api: FakeApi, sender: Sender) -> None:
    """CINNOX documents no Retry-After, so a client must do without."""
    api.change(rate_limit="1/60", retry_after=False)
    await sender.push("hello")
    assert "Retry-After" not in (await sender.push("hello")).headers


async def test_only_authenticated_pushes_use_the_window(api: FakeApi, sender: Sender) -> None:
    """A wrong body takes a place of the account's rate, a wrong token none."""
    api.change(rate_limit="2/60s")
    assert (await sender.http.post(PATH, headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert (await sender.push()).status_code == 400
    assert await sender.statuses(2) == [200, 429]


async def test_first_arrivals_out_of_order_are_order_breaks(api: FakeApi, sender: Sender) -> None:
    """Each marker that first arrives behind a greater one of its room counts; gaps and other rooms do not."""
    await sender.push("a #1", "b #5", "c #3", "d #6")
    await sender.push("e #2", room="r2")
    summary = api.record.summary()
    assert summary.order_breaks == 1
    assert [(one.room, one.marker, one.after) for one in summary.first_order_breaks] == [("r1", 3, 5)]


async def test_repeats_are_duplicates_and_never_order_breaks(api: FakeApi, sender: Sender) -> None:
    """A marker that comes again is a duplicate whatever its text; without one nothing is; rooms are apart."""
    await sender.push("a #1", "b #2", "hello")
    await sender.push("A #1", "hello", "Hello")
    await sender.push("a #1", "hello", room="r2")
    summary = api.record.summary()
    assert (summary.accepted, summary.duplicates, summary.distinct, summary.order_breaks) == (8, 1, 7, 0)


async def test_a_swallowed_message_is_answered_and_missing(api: FakeApi, sender: Sender) -> None:
    """A checker that looks for lost messages must find exactly these."""
    api.change(swallow=1)
    assert (await sender.push("a #1", "b #2")).json()["code"] == 0
    assert (await sender.push("c #3")).json()["code"] == 0
    assert api.record.texts("r1") == ["b #2", "c #3"]
    assert [fault.texts for fault in api.record.injected()] == [("a #1",)]
    assert api.control.swallow == 0


async def test_swapped_messages_are_an_order_break(api: FakeApi, sender: Sender) -> None:
    """A checker that looks for order must find exactly these; a push of one message waits for the next one."""
    api.change(swap=1)
    await sender.push("a #1")
    await sender.push("b #2", "c #3", "d #4")
    await sender.push("e #5", "f #6")
    assert api.record.texts("r1") == ["a #1", "c #3", "b #2", "d #4", "e #5", "f #6"]
    assert api.record.summary().order_breaks == 1
    assert api.record.summary().injected == {"swap": 1}


@pytest.mark.parametrize("accept", [True, False])
async def test_a_cut_push_is_listed_with_its_messages(api: FakeApi, sender: Sender, *, accept: bool) -> None:
    """The client sees a reset connection; the record tells what it cannot know."""
    api.change(cut=Cut(accept=accept, times=1))
    with pytest.raises(httpx.ReadError):
        await sender.push("a #1", "b #2")
    assert (await sender.push("c #3")).status_code == 200
    client = FakeApiClient(api.url)
    (cut,) = await blocking(lambda: client.injected("cut"))
    assert (cut.room, cut.texts, cut.accepted) == ("r1", ("a #1", "b #2"), accept)
    assert await blocking(lambda: client.texts("r1")) == (["a #1", "b #2"] if accept else []) + ["c #3"]
    assert (await blocking(client.record)).by_status == {0: 1, 200: 1}


async def test_a_stalled_room_delays_no_other(api: FakeApi, sender: Sender) -> None:
    """Only the named room hangs; its push is recorded and answered afterwards."""
    api.change(stall=Stall(room="slow", seconds=0.3))
    done: list[str] = []

    async def push(room: str) -> None:
        await sender.push("hello", room=room)
        done.append(room)

    await asyncio.gather(push("slow"), push("quick"))
    assert done == ["quick", "slow"]
    assert api.record.rooms() == {"quick": 1, "slow": 1}
    assert api.record.summary().max_in_flight == 2
    assert api.record.summary().overlaps == 0


@pytest.mark.parametrize("accept", [True, False])
async def test_a_stall_hangs_before_or_after_accepting(api: FakeApi, sender: Sender, *, accept: bool) -> None:
    """The client that gives up cannot tell the two apart, the record can."""
    api.change(stall=Stall(seconds=30, accept=accept))
    with pytest.raises(httpx.ReadTimeout):
        await sender.push("hello", timeout=0.1)
    assert api.record.texts("r1") == (["hello"] if accept else [])
    assert api.record.summary().in_flight == 1
    (entry,) = api.record.pushes()
    assert (entry.took_s, entry.status, entry.count) == (None, 0, 1)


@pytest.mark.parametrize("accept", [True, False])
async def test_a_stalled_push_is_recorded_once(api: FakeApi, sender: Sender, *, accept: bool) -> None:
    """A stall that ends is a success, and its messages are there once, accepted before it or after."""
    api.change(stall=Stall(seconds=0.01, accept=accept))
    assert (await sender.push("hello")).json()["code"] == 0
    assert api.record.texts("r1") == ["hello"]


async def test_two_pushes_of_a_room_at_once_overlap(api: FakeApi, sender: Sender) -> None:
    """Overlaps count pushes that arrive while their room is busy, and not those one after another."""
    await sender.statuses(2)
    assert api.record.summary().overlaps == 0
    api.change(latency_s=0.2)
    await asyncio.gather(sender.push("a"), sender.push("b"), sender.push("c", room="r2"))
    assert api.record.summary().overlaps == 1
    assert api.record.summary().max_in_flight == 3


@pytest.mark.parametrize(("body", "content"), [("text", b"OK"), ("empty", b""), ("html", b"<html>")])
async def test_a_success_can_be_garbage(api: FakeApi, sender: Sender, body: str, content: bytes) -> None:
    """A 200 whose body is not the documented JSON."""
    api.change(garbage={"body": body})
    response = await sender.push("hello")
    assert (response.status_code, response.content[: len(content) or None]) == (200, content)
    assert api.record.rooms() == {}


async def test_failures_are_drawn_from_the_seed(api: FakeApi, sender: Sender) -> None:
    """The same seed fails the same pushes, and about as many as the rate says."""
    api.change(seed=7, fail=Fail(rate=0.3, status=502))
    first = await sender.statuses(100)
    api.change(seed=7)
    assert await sender.statuses(100) == first
    assert 15 <= first.count(502) <= 45
    assert api.record.summary().injected == {"fail": 2 * first.count(502)}
    async with FakeApi(api.control) as other:
        sender.http.base_url = httpx.URL(other.url)
        assert await sender.statuses(100) == first


async def test_a_failure_can_accept_and_has_its_own_code_and_header(api: FakeApi, sender: Sender) -> None:
    """A 502 from a gateway behind which the API took the messages."""
    api.change(fail=Fail(status=502, code=6451001, retry_after="7", accept=True, times=1))
    response = await sender.push("hello")
    assert (response.status_code, response.json()["code"], response.headers["Retry-After"]) == (502, 6451001, "7")
    assert api.record.texts("r1") == ["hello"]
    assert api.control.fail is None


async def test_a_text_can_poison_its_whole_push(api: FakeApi, sender: Sender) -> None:
    """One bad message of ten makes the API refuse all ten."""
    api.change(reject_text="BAD")
    response = await sender.push("good", "this is BAD", "good too")
    assert (response.status_code, response.json()) == (400, {"code": 6451000, "message": "invalid message"})
    assert (await sender.push("good")).status_code == 200
    assert api.record.texts("r1") == ["good"]


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_an_api_that_is_down_answers_everything_alike(api: FakeApi, sender: Sender, status: int) -> None:
    """Right and wrong pushes get the status; the backdoor still works."""
    api.change(down=status)
    assert await sender.statuses(1) == [status]
    assert (await sender.http.post(PATH, headers={"Authorization": "Bearer wrong"})).status_code == status
    assert await blocking(FakeApiClient(api.url).rooms) == {}
    assert api.record.summary().injected == {"down": 2}


async def test_an_api_that_is_down_can_refuse_connections(api: FakeApi, sender: Sender) -> None:
    """``refuse`` resets every push without an answer."""
    api.change(down="refuse")
    with pytest.raises(httpx.ReadError):
        await sender.push("hello")
    assert api.record.summary().by_status == {0: 1}


@pytest.mark.parametrize(("value", "header"), [("17", "17"), ("soon", "soon"), ("", None)])
async def test_throttling_sends_the_given_header(api: FakeApi, sender: Sender, value: str, header: str | None) -> None:
    """Retry-After is whatever the test says, also something that no client can read, or nothing."""
    api.change(throttle=value)
    response = await sender.push("hello")
    assert (response.status_code, response.headers.get("Retry-After")) == (429, header)


async def test_control_changes_only_what_it_names(api: FakeApi) -> None:
    """A later change leaves the faults of an earlier one alone; null takes a fault away."""
    client = FakeApiClient(api.url)
    await blocking(lambda: client.control(latency_s=0.5, cut={"rate": 0.02}))
    await blocking(lambda: client.control(down=503))
    assert await blocking(client.control) == Control(latency_s=0.5, cut=Cut(rate=0.02), down=503)
    assert (await blocking(lambda: client.control(cut=None, down=None))) == Control(latency_s=0.5)


async def test_a_wrong_control_document_is_refused_and_changes_nothing(api: FakeApi) -> None:
    """A mistyped fault must not become a test that passes without it."""
    client = FakeApiClient(api.url)
    with pytest.raises(ValueError, match="latency"):
        await blocking(lambda: client.control(latency=1, down=503))
    with pytest.raises(ValueError, match=r"cut\.rate"):
        await blocking(lambda: client.control(cut=Cut.model_construct(rate=2)))
    with pytest.raises(ValidationError):
        api.change(down="sometimes")
    assert api.control == Control()


async def test_a_reset_forgets_everything_and_behaves_as_at_the_start() -> None:
    """Record, rate window and faults begin anew, with the faults that the start had."""
    start = Control(rate_limit="1/60", garbage=Garbage(times=1))
    async with FakeApi(start) as api, httpx.AsyncClient(base_url=api.url) as http:
        http.headers["Authorization"] = "Bearer pushlane-demo"
        sender = Sender(http)
        assert (await sender.push("hello")).text == "OK"
        assert (await sender.push("hello")).status_code == 429
        await blocking(FakeApiClient(api.url).reset)
        assert api.control == start
        assert api.record.summary().pushes == 0
        assert (await sender.push("hello")).text == "OK"


async def test_every_push_is_listed_with_its_time_and_answer(api: FakeApi, sender: Sender) -> None:
    """The list is what a test of the rate or of overlaps computes from."""
    await sender.push("a", "b")
    await sender.push("", room="r2")
    first, second = await blocking(FakeApiClient(api.url).pushes)
    assert (first.room, first.count, first.status) == ("r1", 2, 200)
    assert (second.room, second.count, second.status) == (None, 0, 400)
    assert first.at_s < second.at_s
    assert first.at_ms <= second.at_ms
    assert first.took_s is not None


async def test_a_client_that_leaves_in_the_middle_disturbs_nobody(
    api: FakeApi, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a request is no push and no error of ours, and the next one is served."""
    _, writer = await asyncio.open_connection(*api.url.removeprefix("http://").split(":"))
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await sender.push("hello")).status_code == 200
    assert api.record.summary().pushes == 1
    assert [entry for entry in caplog.records if entry.name.startswith("aiohttp")] == []


async def test_a_body_without_bound_is_refused(sender: Sender) -> None:
    """More than 1 MiB cannot be a push."""
    assert (await sender.push("x" * (1 << 20))).status_code == 413
