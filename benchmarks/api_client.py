"""Starts the lean chat API and asks it what it has counted."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.places import ROOT
from pushlane_worker.child_process import tied_to_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What the API has seen since the last reset; times are on the machine's monotonic clock."""

    pushes: int
    messages: int
    throttled: int
    first: float
    last: float
    delays_ms: Sequence[float]
    push_times: Sequence[float]

    @property
    def seconds(self) -> float:
        """From the first push to the answer to the last one."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class ApiClient:
    """The API at this address."""

    url: str

    def reset(
        self, *, latency_s: float = 0.0, rate_limit: int = 0, window_s: float = 60.0, timed: bool = False
    ) -> None:
        """Forgets all counts, and behaves like this from now on."""
        control = {"latency_s": latency_s, "rate_limit": rate_limit, "window_s": window_s, "timed": timed}
        self._ask("/control", json.dumps(control).encode())

    def when(self, messages: int, patience_s: float = PATIENCE_S) -> Counts:
        """The counts as soon as so many messages have arrived. Raises TimeoutError."""
        fields = json.loads(self._ask(f"/when/{messages}", None, patience_s))
        return Counts(**{name: fields[name] for name in Counts.__slots__})

    def _ask(self, path: str, body: bytes | None, patience_s: float = 10.0) -> bytes:
        with urllib.request.urlopen(self.url + path, body, patience_s) as answer:  # noqa: S310 # on loopback
            content: bytes = answer.read()
            return content


@contextlib.contextmanager
def chat_api() -> Iterator[ApiClient]:
    """The API as a process of its own."""
    words = tied_to_parent([sys.executable, "-m", "benchmarks.chat_api"])
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield ApiClient(process.stdout.readline().strip())
        finally:
            process.kill()
