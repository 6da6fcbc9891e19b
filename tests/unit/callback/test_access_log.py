"""What stands in front of the app."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette

from pushlane.callback.http.access_log import AccessLog


@pytest.mark.parametrize("fails", [False, True])
async def test_the_log_is_closed_when_the_app_has_ended(*, fails: bool) -> None:
    """A worker of several kills itself then, and with it the thread that writes."""
    said: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        said.append("ended")
        if fails:
            raise ZeroDivisionError

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(_: object) -> None:
        return None

    front = AccessLog(Starlette(lifespan=lifespan), lambda: said.append("closed"))
    with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext():
        await front({"type": "lifespan"}, receive, send)
    assert said == ["ended", "closed"]
