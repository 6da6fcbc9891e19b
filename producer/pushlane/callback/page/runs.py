"""Replays and purges of many dead letters, which go on while nobody waits for them: each in a thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from pushlane.callback.page.threads import AllBusy
from pushlane.service.logs import logger

if TYPE_CHECKING:
    from pushlane.operators.bulk import Bulk

AT_ONCE: Final = 2
"""Each takes the interpreter from moderation, a little."""
SOON_S: Final = 1.0
"""How long whoever starts one waits for its end: most are done by then."""


class Runs:
    """Those of one process."""

    def __init__(self) -> None:
        self._going: set[Bulk] = set()
        self._changing = threading.Lock()
        self._closed = False

    def start(self, bulk: Bulk) -> None:
        """Starts it; returns when it has ended, or in a moment. Raises AllBusy."""
        with self._changing:
            if self._closed or len(self._going) >= AT_ONCE:
                raise AllBusy
            self._going.add(bulk)
        thread = threading.Thread(target=self._carry_out, args=(bulk,), name="page-run")
        thread.start()
        thread.join(SOON_S)

    def close(self) -> None:
        """Starts nothing more, and lets what is going on end soon."""
        with self._changing:
            self._closed = True
            for bulk in self._going:
                bulk.end()

    def _carry_out(self, bulk: Bulk) -> None:
        try:
            bulk.carry_out()
        except Exception:  # noqa: BLE001 # nobody else would hear of it
            logger().exception("page.run_failed")
        finally:
            with self._changing:
                self._going.discard(bulk)
