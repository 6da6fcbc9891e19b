"""What the commands say where the library is installed with one extra, or with none."""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.processes import environment

from pushlane_worker.cli.commands import COMMANDS, EXTRAS

INSTALLS = ["", "worker", "callback", "demo", "testing", "otel"]
_CALLS = """
import contextlib, io, json, sys, traceback
installed = {*sys.stdlib_module_names, *json.loads(sys.argv[1])}
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in installed and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Bare())
from pushlane_worker.cli import main
for words in json.loads(sys.argv[2]):
    sys.argv, out, err = ["pushlane", *words], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ending:
            code = ending.code
        except BaseException:
            code, _ = "traceback", traceback.print_exc()
    print(json.dumps([words, [code, out.getvalue(), err.getvalue()]]))
"""


def modules_of(extra: str) -> list[str]:
    """The top-level modules that installing the library with this extra brings; ``""`` is none."""
    found = _brought("pushlane", frozenset({extra} - {""}))
    names = {name for name, by in packages_distributions().items() if found & set(map(canonicalize_name, by))}
    return sorted({*names, "pushlane", "pushlane_worker"})


def _brought(name: str, extras: frozenset[str]) -> set[str]:
    found: set[str] = {canonicalize_name(name)}
    for requirement in map(Requirement, distribution(name).requires or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {*extras, ""}):
            found |= _brought(requirement.name, frozenset(requirement.extras))
    return found


def said(extra: str, *calls: list[str]) -> Mapping[str, tuple[int | str, str, str]]:
    """The exit code and the two outputs of each call of the command on such an install."""
    words = [sys.executable, "-c", _CALLS, json.dumps(modules_of(extra)), json.dumps(calls)]
    ended = subprocess.run(words, env=environment(), cwd="/", capture_output=True, text=True, check=True)
    lines = map(json.loads, ended.stdout.splitlines())
    return {" ".join(words): tuple(result) for words, result in lines}


@pytest.mark.parametrize("extra", INSTALLS)
def test_version_and_help_on_every_install(extra: str) -> None:
    """Whatever is installed, the command says what it is and what there is."""
    told = said(extra, ["--version"], ["--help"], ["-h"], [])
    assert told["--version"][::2] == (0, "")
    assert told["--version"][1].startswith("pushlane, version ")
    for call in ("--help", "-h"):
        code, out, err = told[call]
        assert (code, err) == (0, ""), told
        assert not [name for name in COMMANDS if f"\n  {name} " not in out]
    code, out, err = told[""]
    assert (code, out) == (2, "")
    assert "\n  worker " in err


@pytest.mark.parametrize("extra", INSTALLS)
def test_the_help_of_each_command_on_every_install(extra: str) -> None:
    """It is the help, or one line that names the extra that brings the command."""
    told = said(extra, *([name, "--help"] for name in COMMANDS))
    for name in COMMANDS:
        code, out, err = told[f"{name} --help"]
        if code == 0:
            assert out.startswith(f"Usage: pushlane {name} ")
            assert err == ""
        else:
            assert (code, out) == (2, ""), told
            assert err.endswith(f" is not installed: run `pip install 'pushlane[{EXTRAS.get(name, 'worker')}]'`\n")
            assert err.count("\n") == 1


@pytest.mark.parametrize("extra", sorted({*EXTRAS.values(), "worker"}))
def test_the_extra_that_is_named_brings_the_command(extra: str) -> None:
    """Who installs what the line says has the help of each of its commands then."""
    names = [name for name in COMMANDS if EXTRAS.get(name, "worker") == extra]
    told = said(extra, *([name, "--help"] for name in names))
    assert {(code, err) for code, _, err in told.values()} == {(0, "")}, told
