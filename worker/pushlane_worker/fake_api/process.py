"""The fake API as its own program, for ``pushlane fake-api`` and for tests."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

import uvloop

from pushlane_worker.fake_api.control import Control
from pushlane_worker.fake_api.server import FakeApi


def run(host: str, port: int, control: Control, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then return.

    Port 0 means any free port. ``on_ready`` is called once with the base address when it is listening.

    Raises:
        SystemExit: It cannot listen there; one line on standard error, exit code 1.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(FakeApi(control, host=host, port=port), on_ready))


async def _serve(api: FakeApi, on_ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    try:
        await api.start()
    except OSError as error:
        sys.exit(f"fake-api: cannot listen on {api.url}: {error.strerror}")
    gc.freeze()  # imported objects live as long as the process, so collections can skip them
    on_ready(api.url)
    await stop.wait()
    await api.stop()
