"""The pages about the log against the code: no event is missing or left over, and each warning has its remedy."""

import re
from typing import Final

import pytest
from support.documentation import ROOT, page, read, table
from support.log_events import COMPOSED, PROGRAMS, events, unread

from pushlane.message_record import REASONS

HEADS: Final = {"worker": "a worker writes", "callback": "the callback writes", "both": "both write"}


def named(cell: str) -> set[str]:
    """What a cell has in backticks."""
    return set(re.findall(r"`([^`\n]+)`", cell))


def rows(program: str) -> dict[str, tuple[set[str], set[str]]]:
    """The page's levels and fields of each event of a program."""
    found = {}
    for cell, (level, _, fields) in table(HEADS[program], page("logs")).items():
        for name in named(cell):
            assert name not in found, f"{name} is there twice"
            found[name] = set(level.split(", ")), named(fields)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_event_is_documented_with_its_levels_and_fields(program: str) -> None:
    """Who filters the log finds every event there is, and waits for none that there is not."""
    written, told = events(program), rows(program)
    assert set(told) == set(written)
    assert {name: levels for name, (levels, _) in told.items()} == {name: one.levels for name, one in written.items()}
    for name, (_, fields) in told.items():
        assert written[name].fields <= fields, name
        assert written[name].more or fields == written[name].fields, name


def test_no_line_is_written_in_a_way_that_is_not_compared() -> None:
    """Else an event could be missing unnoticed."""
    assert unread() == []
    steps = re.findall(
        r'(?:keep|once|tried)\("(\w+)"', "".join(map(read, (PROGRAMS["worker"] / "dispatch").glob("*.py")))
    )
    assert {f"dispatcher.{step}_failed" for step in steps} == set(COMPOSED["f'dispatcher.{what}_failed'"])


def test_every_warning_and_error_is_in_the_runbook() -> None:
    """Who is woken by one reads what to do."""
    known = named(page("runbook"))
    serious = {
        name for program in PROGRAMS for name, (levels, _) in rows(program).items() if levels & {"warning", "error"}
    }
    assert serious - known == set()
    like_events = {name for name in known if re.fullmatch(r"(?!pushlane)[a-z]+\.[a-z_]+", name)}
    assert like_events <= {name for program in PROGRAMS for name in rows(program)}


def test_every_reason_of_a_gate_or_a_dead_letter_is_in_the_runbook() -> None:
    """With what to do, too."""
    gate = set(re.findall(r"'(\w+): '", read(ROOT / "producer/pushlane/lua/lib_gate.lua")))
    assert {"failing", "misconfigured", "suspect"} == gate
    assert (gate | set(REASONS.values())) - named(page("runbook")) == set()
