"""The events of the log as the source writes them: their names, levels and fields, read with ``ast``."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from support.documentation import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROGRAMS: Final = {
    "worker": ROOT / "worker/pushlane_worker",
    "callback": ROOT / "producer/pushlane/callback",
    "both": ROOT / "producer/pushlane/service",
}
"""Where each program's own code is, and what they share."""
_STEPS: Final = ("announce", "bell", "decisions", "health", "heartbeat", "look", "register", "sweep", "token")
COMPOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "f'dispatcher.{what}_failed'": tuple(f"dispatcher.{step}_failed" for step in _STEPS),
    "f'dispatcher.{what}_broken'": tuple(f"dispatcher.{step}_broken" for step in _STEPS),
    "f'gate.{state.decode()}'": ("gate.broken", "gate.throttled"),
    "event": (),  # log_failure, whose calls are read
    "trouble": ("drain.broken", "drain.unsettled"),
    "waits": ("spool.adopt_waits", "spool.refeed_waits"),
    "broken": ("spool.adopt_broken", "spool.refeed_broken"),
    "resumed": ("spool.adopt_resumed", "spool.refeed_resumed"),
}
"""What names that are no literals can be, by their source."""
_LEVELS: Final = {name: name for name in ("debug", "info", "warning", "error")} | {"exception": "error"}
OWN: Final = "its own"
"""The level of a library's line."""


@dataclass
class Event:
    """What all places together make of an event."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    more: bool = False
    """Whether it has fields that are not named where it is written."""


def events(program: str) -> dict[str, Event]:
    """The events that this program writes, or both. Raises KeyError for a name that is neither literal nor listed."""
    found: defaultdict[str, Event] = defaultdict(Event)
    for file in sorted(PROGRAMS[program].rglob("*.py")):
        for name, levels, fields in _lines(file):
            found[name].levels |= levels
            found[name].fields |= fields - {"**"}
            found[name].more |= "**" in fields
    return dict(found)


def unread() -> list[str]:
    """The uses of ``logger()`` that ``events`` cannot read."""
    left = []
    for folder in PROGRAMS.values():
        for file in folder.rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            known = {id(call.value) for call in calls if call.attr in {*_LEVELS, "log"}}
            left += [
                f"{file}:{node.lineno}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and _is_logger(node) and id(node) not in known
            ]
    return left


def _lines(file: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    aliases: defaultdict[str, set[str]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (levels := _levels(node.value)):
            aliases[node.targets[0].id] |= levels
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from _by_hand(node)
        if not isinstance(node, ast.Call):
            continue
        fields = {one.arg or "**" for one in node.keywords}
        if isinstance(node.func, ast.Name) and node.func.id == "log_failure":
            levels, fields, name = {"error"}, fields | {"error", "exception"}, node.args[0]
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "log" and _is_logger(node.func.value):
            levels, name = {OWN}, node.args[1]
        elif levels := _levels(node.func) or aliases.get(getattr(node.func, "id", ""), set()):
            name = node.args[0]
            fields |= {"exception"} if "exception" in ast.unparse(node.func) else set()
        else:
            continue
        for one in [name.value] if isinstance(name, ast.Constant) else COMPOSED[ast.unparse(name)]:
            yield str(one), levels, fields


def _by_hand(node: ast.Dict) -> Iterator[tuple[str, set[str], set[str]]]:
    """A line that is composed by hand, with its ``event`` and its ``level``."""
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
    parts = {
        str(key): value.value for key, value in zip(keys, node.values, strict=False) if isinstance(value, ast.Constant)
    }
    if {"event", "level"} <= set(parts):
        yield str(parts["event"]), {str(parts["level"])}, {str(key) for key in keys} - {"event", "level"}


def _levels(node: ast.expr) -> set[str]:
    """The levels of ``logger().info`` or of a choice between two of them; none for anything else."""
    if isinstance(node, ast.IfExp):
        return _levels(node.body) | _levels(node.orelse)
    if isinstance(node, ast.Attribute) and _is_logger(node.value):
        return {_LEVELS[node.attr]} if node.attr in _LEVELS else set()
    return set()


def _is_logger(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "logger"
