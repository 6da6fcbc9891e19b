"""The push that every peer makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

URL = os.environ.get("BENCH_API", "") + "/v1/api/apps/bench/message-push"
BROKER = os.environ.get("BENCH_REDIS", "")
HEADERS = {"Authorization": "Bearer token"}


def body(room: str, texts: Sequence[str]) -> dict[str, Any]:
    """The JSON of a push."""
    return {"roomID": room, "messages": [{"type": "text", "text": text} for text in texts]}
