"""A page that blocks delays nobody else."""

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest
from support.callback import c2c, moderation, query
from support.page import PASSWORD, page_settings, token_in

from pushlane.callback.app import make_app
from pushlane.callback.page import site, threads
from pushlane.callback.page.view import Asked, Place, View
from pushlane.callback.settings import load_callback_settings
from pushlane.operators.actions import Operator


async def test_views_that_hang_delay_neither_moderation_nor_the_login(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions are answered while each thread of the page is taken; one more page gets a 503 within a second."""
    gate, hanging = threading.Event(), threading.Semaphore(0)

    def hang(_operator: Operator, _asked: Asked) -> View:
        hanging.release()
        assert gate.wait(60)
        return View("refused.html", {"heading": "late", "problem": ""})

    monkeypatch.setattr(site, "PLACES", (Place("/slow", hang),))
    for name, value in {**moderation(tmp_path), **page_settings(tmp_path), "PUSHLANE_REDIS_URL": redis_url}.items():
        monkeypatch.setenv(name, value)
    app = make_app(load_callback_settings())
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1234))
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as one:
        try:
            form = {"csrf": token_in(await one.get("/login")), "name": "anna", "password": PASSWORD}
            assert (await one.post("/login", data=form)).status_code == 303
            slow = [asyncio.create_task(one.get("/slow")) for _ in range(threads.AT_ONCE)]
            await asyncio.gather(*(asyncio.to_thread(hanging.acquire) for _ in slow))
            busy = await one.get("/slow")
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            slowest = 0.0
            for number in range(50):
                started = time.monotonic()
                answer = await one.post(f"/tencent/callback?{query()}", json=c2c(number))
                slowest = max(slowest, time.monotonic() - started)
                assert answer.json()["ErrorCode"] == 0
            assert slowest < 1, "within moderation's deadline"
            assert (await one.post("/login", data=form | {"password": "wrong"})).status_code == 403
            assert not any(task.done() for task in slow)
        finally:
            gate.set()
        assert [(await task).status_code for task in slow] == [200] * threads.AT_ONCE


async def test_a_thread_is_not_free_before_its_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if whoever waited for it has left."""
    monkeypatch.setattr(threads, "TURN_S", 0.05)
    gate, pool = threading.Event(), threads.Threads("test", 1)
    waiting = asyncio.create_task(pool.run(gate.wait, 60))
    await asyncio.sleep(0)  # it starts
    with pytest.raises(threads.AllBusy):
        await pool.run(int)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(threads.AllBusy):
        await pool.run(int)
    gate.set()
    monkeypatch.setattr(threads, "TURN_S", 30)
    assert await pool.run(int) == 0
    pool.close()
