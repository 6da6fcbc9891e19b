"""Evidence on disk: one JSON document a line, written at once, so that no later end of any process can lose it."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Lines:
    """A file of lines that several threads append to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, kind: str, **facts: object) -> None:
        """Appends a line with the time of this machine's clock, which is also Redis's."""
        line = json.dumps({"kind": kind, "at": time.time(), **facts}, ensure_ascii=False)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file that nobody writes to any more, without a last one that was cut."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
