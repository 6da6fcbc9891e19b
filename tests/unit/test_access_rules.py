"""The documented access rules, held to the scripts: what one rarely does must be allowed, too, and nothing else."""

import re
from importlib.resources import files

import pytest
from support.access_rules import access_rules

from pushlane.scripts import PRODUCER, source
from pushlane_worker.queue.store import WORKER

CONNECTING = {"client|setinfo", "select", "eval", "evalsha"}
TRANSACTION = {"multi", "exec"}
PRODUCING = ("enqueue", "status", "cancel", "decide")
SCRIPTS = {
    "producer": PRODUCING,
    "callback": (*PRODUCING, "record_decisions", "postpone_effects", "overview"),
    "worker": (
        *(*PRODUCING, "postpone_effects", "finish_lane", "waiting", "overview"),
        *("register", "announce", "look", "ring_is_out", "sweep", "turn"),
    ),
    "operator": (
        *(*PRODUCING, "register", "overview", "pause", "purge"),
        *("read", "remove", "replay", "skip", "note", "throughput"),
    ),
}
SCRIPTS["page"] = (*SCRIPTS["callback"], *SCRIPTS["operator"], "open_session", "try_login")
DIRECTLY = {
    "producer": {"hmget"},
    "callback": {"info", "smembers", "zmscore", *TRANSACTION},
    "worker": {"blpop", "bzpopmin", "info", "smembers", "zmscore", *TRANSACTION},
    "operator": {"expire", "hgetall", "info", "smembers", "xread", "xrevrange", "zmscore", "zrevrange", "zscan"}
    | TRANSACTION,
}
DIRECTLY["page"] = DIRECTLY["callback"] | DIRECTLY["operator"]
"""What they call without a script, and no script of theirs does."""


def _commands(script: str) -> set[str]:
    try:
        text = source(script)
    except FileNotFoundError:
        text = source(script, WORKER)
    return {name.lower() for name in re.findall(r"\bp?call\(\s*['\"](\w+)", text)}


@pytest.mark.parametrize("program", SCRIPTS)
def test_a_rule_allows_what_the_program_does_and_nothing_else(program: str) -> None:
    """Its scripts' commands, and its own."""
    allowed = {word.removeprefix("+") for word in access_rules()[program] if word.startswith("+")}
    needed = {name for script in SCRIPTS[program] for name in _commands(script)}
    assert allowed == CONNECTING | DIRECTLY[program] | needed


def test_each_script_belongs_to_a_program() -> None:
    """So that none is left out here."""
    files_of = [files(package) / "lua" for package in (PRODUCER, WORKER)]
    names = {file.name.removesuffix(".lua") for folder in files_of for file in folder.iterdir()}
    assert {name for name in names if not name.startswith("lib_")} == {one for some in SCRIPTS.values() for one in some}
