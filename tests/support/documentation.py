"""The README and its pages: their blocks, tables and links, and one shell script that runs all blocks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
DOCUMENTS: Final = tuple(
    one for where in (".", "docs", "deploy/kubernetes") for one in sorted((ROOT / where).glob("*.md"))
)
"""Every document, whether the README lists it or not."""
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ANY_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FILE = re.compile(r"# (\w+\.py)\n")
_PREAMBLE = """
set -euo pipefail
curl() { command curl --fail-with-body --silent --show-error --max-time 60 "$@"; }
"""


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    def script(self) -> str:
        """What does in a shell what the block is for: run it, or write the file that its first line names."""
        if self.language == "sh":
            return self.text
        if named := _FILE.match(self.text):
            return f"cat > {named[1]} <<'END'\n{self.text}END\n"
        return f"python3 - <<'END'\n{self.text}END\n"


def read(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def page(name: str) -> str:
    """The text of ``docs/NAME.md``."""
    return read(ROOT / "docs" / f"{name}.md")


def pages() -> list[Path]:
    """The README, then the documents that it lists at its end, in that order."""
    _, _, listed = read(README).partition("\n## Read on\n")
    assert listed
    return [README, *(ROOT / target for target in _LINK.findall(listed))]


def blocks(*languages: str) -> Iterator[Block]:
    """The blocks in these languages, in the order of ``pages``."""
    for one in pages():
        for language, text in _BLOCK.findall(read(one)):
            if language in languages:
                yield Block(one, language, text)


def table(first_cell: str, document: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins with this cell, by their own first cell."""
    found = re.findall(rf"^\| {re.escape(first_cell)} \|.*\n\| ---.*\n((?:\|.*\n)*)", document, re.MULTILINE)
    assert len(found) == 1, f"{len(found)} tables {first_cell}"
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in found[0].splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows}


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """The file and the anchor of every relative link; without an anchor, an empty one."""
    for target in _LINK.findall(_ANY_BLOCK.sub("", read(document))):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (document.parent / path).resolve() if path else document, anchor


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document; a heading that is repeated has none here."""
    headings = [heading.lower() for heading in _HEADING.findall(_ANY_BLOCK.sub("", read(document)))]
    slugs = [re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings]
    return {slug for slug in slugs if slugs.count(slug) == 1}


def script(replaced: Mapping[str, str], preamble: str = "") -> str:
    """One script of all blocks for shells and for Python; each is announced by number, and the first failure ends it.

    Args:
        replaced: What stands differently in the script, such as ports that are taken on this machine.
        preamble: Runs before the first block.
    """
    steps = [_PREAMBLE + preamble]
    for number, block in enumerate(blocks("sh", "python"), 1):
        announced = f"--- {number} {block.page.name}: {block.text.splitlines()[0]}"
        steps += [f"echo {shlex.quote(announced)} >&2", block.script()]
    text = "\n".join(steps)
    for before, after in replaced.items():
        text = text.replace(before, after)
    return text
