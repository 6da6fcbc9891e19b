"""Headers and bodies of the scripts say the same, and each does no more than it may."""

import re

import pytest
from support.script_files import FILES, LIBRARIES, SCRIPTS, split

from pushlane.scripts import Script, source

FREE_MEMORY = {
    "announce",
    "cancel",
    "finish_lane",
    "look",
    "note",
    "open_session",
    "pause",
    "purge",
    "register",
    "remove",
    "ring_is_out",
    "skip",
    "sweep",
    "try_login",
    "turn",
}
"""Scripts that a Redis at its memory limit still runs: without them it would never have room again.

Registering and announcing free none; but a worker that starts then must be able to. A look is what brings the sweeps.
Whoever purges must be able to log in, and to be written down.
"""
READ_ONLY = {"overview", "read", "status", "throughput", "waiting"}

SLOT = re.compile(r"^-- (KEYS|ARGV)\[(\d+)(…?)\] (\w+)(.*)$", re.MULTILINE)
USED = re.compile(r"\b(KEYS|ARGV)\[(\d+)\]")
BINDING = re.compile(r"^local ([\w, ]+) = (.+)$")

every_script = pytest.mark.parametrize(("package", "name"), SCRIPTS)


def test_the_scripts_are_found() -> None:
    """An empty list would let every test here pass."""
    assert {("pushlane", "enqueue"), ("pushlane", "status"), ("pushlane_worker", "turn")} <= set(SCRIPTS)
    assert {"lib_record", "lib_outcomes", "lib_wake"} <= set(LIBRARIES)


# --- header and body ---------------------------------------------------------------------------------------------


@every_script
def test_a_header_says_what_it_does_in_a_sentence_and_once_what_it_returns(package: str, name: str) -> None:
    """Whoever calls a script reads its header alone."""
    text = FILES[package, name]
    header, _ = split(text)
    lines = header.splitlines()
    assert lines[0].startswith("#!lua")
    assert re.fullmatch(r"--- [A-Z].*[.:,]?", lines[1])
    assert len([line for line in lines if line.startswith("-- Returns ")]) == 1
    assert len(re.findall(r"^--- use ", text, re.MULTILINE)) <= 1


@every_script
def test_a_header_names_each_slot_that_the_body_uses_and_no_other(package: str, name: str) -> None:
    """A slot that moved in the body has moved in the header, too."""
    header, code = split(FILES[package, name])
    body = "\n".join(code)
    slots = SLOT.findall(header)
    for array in ("KEYS", "ARGV"):
        numbers = [int(slot[1]) for slot in slots if slot[0] == array]
        assert numbers == list(range(1, len(numbers) + 1)), f"{array} is not numbered through"
        single = {int(slot[1]) for slot in slots if slot[0] == array and not slot[2]}
        assert single == {int(used) for which, used in USED.findall(body) if which == array}
    open_ended = [(array, int(first), rest) for array, first, dots, _, rest in slots if dots]
    for array, first, rest in open_ended:
        assert re.search(rf"\bFIRST\b.* = {first}\b|unpack\({array}, {first}\)", body), f"nothing begins at {first}"
        if group := re.search(r"groups of (\d+)", rest):
            assert re.search(rf"^local FIRST, GROUP = {first}, {group[1]}$", body, re.MULTILINE)
            described = SLOT.sub("", header.partition("groups of ")[2].partition(": ")[2].partition("-- ")[0])
            assert len(re.sub(r"\([^)]*\)", "", described).split(",")) <= int(group[1])
    assert bool(open_ended) == bool(re.search(r"(?:KEYS|ARGV)\[[^\]\d]|unpack\(ARGV|#ARGV", body))


@every_script
def test_the_first_statements_bind_every_slot_to_its_name(package: str, name: str) -> None:
    """After its first lines a body speaks of names, and they are the header's."""
    header, code = split(FILES[package, name])
    names = {(array, place): slot for array, place, dots, slot, _ in SLOT.findall(header) if not dots}
    bound = set()
    for line in code:
        match = BINDING.match(line)
        if not match or not USED.search(line):
            break
        values = match[2].split(", ")
        for local, value in zip(match[1].split(", "), values, strict=True):
            for slot in USED.findall(value):
                assert names[slot] == local
                bound.add(slot)
    assert bound == set(names)
    assert len(USED.findall("\n".join(code))) == len(names), "a slot is used once more after it was bound"


@every_script
def test_a_script_gets_the_bell_if_and_only_if_it_may_ring(package: str, name: str) -> None:
    """In a cluster it is on another node: a script with the bell and without its library would write there."""
    header, _ = split(FILES[package, name])
    keys = [(number, slot) for array, number, _, slot, _ in SLOT.findall(header) if array == "KEYS"]
    assert keys[1:] == ([("2", "bell")] if Script(name, package).rings else [])


@every_script
def test_a_script_is_allowed_to_run_at_the_memory_limit_only_if_it_helps_to_free_memory(
    package: str, name: str
) -> None:
    """A full Redis still drains, and takes nothing new."""
    flags = FILES[package, name].splitlines()[0].removeprefix("#!lua").strip()
    assert flags == ("flags=allow-oom" if name in FREE_MEMORY else "flags=no-writes" if name in READ_ONLY else "")


@every_script
def test_a_script_finds_its_keys_without_searching(package: str, name: str) -> None:
    """No command that walks the whole keyspace, and no random number: two servers run a script alike."""
    assert not re.search(r"'(KEYS|SCAN|RANDOMKEY|FLUSH\w+)'|math\.random", source(name, package))


# --- the whole text ----------------------------------------------------------------------------------------------


@every_script
def test_the_whole_text_has_its_libraries_and_one_shebang_at_most(package: str, name: str) -> None:
    """A fake Redis takes no ``#!lua`` line, and a server takes it only at the very beginning."""
    whole = source(name, package)
    first, _, plain = whole.partition("\n")
    assert first.startswith("#!lua")
    assert whole.count("#!lua") == 1
    assert "#!" not in plain
    used = re.search(r"^--- use (.+)$", FILES[package, name], re.MULTILINE)
    for library in used[1].split() if used else []:
        _, code = split(LIBRARIES[f"lib_{library}"])
        assert code[0] in plain, library


@every_script
def test_nothing_is_bound_twice_and_the_limit_of_200_locals_is_far(package: str, name: str) -> None:
    """Libraries share one scope: a name of theirs is not silently taken by another one."""
    whole = source(name, package)
    bound = [
        local.strip()
        for names in re.findall(r"^local (?:function )?([\w, ]+)", whole, re.MULTILINE)
        for local in names.split(",")
    ]
    assert len(bound) == len(set(bound)), sorted(local for local in bound if bound.count(local) > 1)
    assert len(bound) < 170, "Lua itself takes 200"


def test_an_unknown_script_is_a_file_that_is_not_found() -> None:
    """A typo in a script's name fails when the producer is made, not at the first call."""
    with pytest.raises(FileNotFoundError):
        source("enqueu")
