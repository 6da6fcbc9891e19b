"""The access rules that ``docs/redis.md`` gives each program, as an operator takes them from there."""

import re
from collections.abc import Mapping
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
_PROGRAM = re.compile(r"^(\w+) +((?:.+\n)(?: +.+\n)*)", re.MULTILINE)


def access_rules() -> Mapping[str, list[str]]:
    """The words of each rule; a program's name among them stands for its rule."""
    section = _PAGE.read_text(encoding="utf-8").partition("## Access rules")[2]
    block = section.partition("```text\n")[2].partition("```")[0]
    rules: dict[str, list[str]] = {}
    for program, words in _PROGRAM.findall(block):
        rules[program] = [word for given in words.split() for word in rules.get(given, [given])]
    return rules
