"""The blocks of code in the README, and one shell script that runs them all."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# (\w+\.py)\n")
_PREAMBLE = """
set -euo pipefail
curl() { command curl --fail-with-body --silent --show-error --max-time 60 "$@"; }
"""


class Block(NamedTuple):
    """A fenced block of the README."""

    language: str
    text: str

    def script(self) -> str:
        """What does in a shell what the block is for: run it, or write the file that its first line names."""
        if self.language == "sh":
            return self.text
        if named := _FILE.match(self.text):
            return f"cat > {named[1]} <<'END'\n{self.text}END\n"
        return f"python3 - <<'END'\n{self.text}END\n"


def blocks(*languages: str) -> Iterator[Block]:
    """The blocks in these languages, in their order."""
    for language, text in _BLOCK.findall(README.read_text(encoding="utf-8")):
        if language in languages:
            yield Block(language, text)


def script(replaced: Mapping[str, str], preamble: str = "") -> str:
    """One script of all blocks for shells and for Python; each is announced, and the first failure ends it.

    Args:
        replaced: What stands differently in the script, such as ports that are taken on this machine.
        preamble: Runs before the first block.
    """
    steps = [_PREAMBLE + preamble]
    for block in blocks("sh", "python"):
        steps += [f"echo {shlex.quote('--- ' + block.text.splitlines()[0])} >&2", block.script()]
    text = "\n".join(steps)
    for before, after in replaced.items():
        text = text.replace(before, after)
    return text
