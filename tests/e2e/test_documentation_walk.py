"""A newcomer's way: the blocks of the README and its pages as they are, in order, in one shell in a fresh folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.documentation import DOCUMENTS, README, ROOT, blocks, pages, read, script
from support.ports import free_port
from support.processes import environment

from pushlane.callback.settings import load_callback_settings
from pushlane_worker.settings import load_settings

INSTALLED = """
make() { :; }
pip() { :; }
python3() { if [ "${1-}" = -m ]; then mkdir -p .venv/bin && touch .venv/bin/activate; else command python3 "$@"; fi; }
"""
"""In place of what sets up and takes long: the environment that runs the tests has it all."""
WORKER_IS_READY = "until grep -q ready worker.log; do sleep 0.1; done"
PORTS = ("6379", "8400", "8080", "5555")
CHECKOUT = ("pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "producer", "worker")


def replaced() -> dict[str, str]:
    """What stands in the blocks, and what they get in its place here."""
    ports = {port: str(free_port()) for port in PORTS}
    return {
        **{f":{port}": f":{free}" for port, free in ports.items()},
        "--port 6379": f"--port {ports['6379']}",
        "pushlane fake-api": f"pushlane fake-api --port {ports['8400']}",
        "pushlane callback": f"pushlane callback --port {ports['8080']}",
        "--address=127.0.0.1": f"--address=127.0.0.1 --port={ports['5555']}",
        # It fails until the worker that was started before is there, which reading takes longer than.
        "pushlane check ": f"{WORKER_IS_READY}; pushlane check ",
    }


def run(folder: Path, env: Mapping[str, str], preamble: str, timeout_s: float) -> str:
    """Runs the blocks, and gives what they printed."""
    with subprocess.Popen(
        ["bash"],
        cwd=folder,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(script(replaced(), preamble), timeout=timeout_s)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # what runs in the background
    assert process.returncode == 0, printed
    return printed


@pytest.mark.first
@pytest.mark.timeout(300)
def test_every_block_runs_in_its_place(tmp_path: Path) -> None:
    """Each block ends well where it stands, and says what it promises; what sets up is left to the next test."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    check(run(tmp_path, environment(PATH=path), INSTALLED, 290))


def test_what_the_first_blocks_start_is_stopped_as_the_readme_says(tmp_path: Path) -> None:
    """Everything: a plain `kill` of the server's process id would leave the server itself behind."""
    started = next(one.text for one in blocks("sh") if "pushlane worker" in one.text)
    (stop,) = re.findall(r"`(kill [^`]+)`", read(README))
    for before, after in (here := replaced()).items():
        started = started.replace(before, after)
    # As a terminal's shell has it: each job is a process group, and takes SIGINT.
    steps = ["set -eum", "trap 'kill -KILL %1 %2 %3 2> /dev/null || :' EXIT", started, WORKER_IS_READY, stop, "wait"]
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    subprocess.run(["bash", "-c", "\n".join(steps)], cwd=tmp_path, env=environment(PATH=path), timeout=60, check=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("localhost", int(here[":6379"][1:]))).close()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_block_runs_on_a_fresh_machine(tmp_path: Path) -> None:
    """The same with a virtual environment of its own, in a copy of the checkout: nothing is missing from an extra."""
    for name in CHECKOUT:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    kept = {name: value for name, value in environment().items() if name not in ("VIRTUAL_ENV", "SSL_CERT_FILE")}
    scripts = sysconfig.get_path("scripts")
    kept["PATH"] = os.pathsep.join(folder for folder in kept["PATH"].split(os.pathsep) if folder != scripts)
    check(run(tmp_path, kept, "make() { :; }\n", 840))  # `make demo` has its own tests


def check(printed: str) -> None:
    """What the blocks promise in their comments, and that none was left out."""
    for promised in ("1 passed", "Please do not shout.", '{"code": 0}', "refund-8", "cancelled"):
        assert promised in printed, printed
    announced = re.findall(r"--- (\d+) [\w-]+\.md: ", printed)
    assert announced == [str(number) for number, _ in enumerate(blocks("sh", "python"), 1)], printed


def test_the_walk_goes_through_every_page_with_blocks() -> None:
    """The README comes first, and no page with a block that can run is missing from its list."""
    walked = pages()
    assert walked[0] == README
    runnable = re.compile(r"^```(?:sh|python|ini)$", re.MULTILINE)
    assert not [one for one in DOCUMENTS if one not in walked and runnable.search(read(one))]
    assert not [one for one in walked if re.search(r"^```(?!sh$|python$|ini$|text$|$)", read(one), re.MULTILINE)]


def test_the_settings_that_it_shows_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of settings is what a worker takes, once the files that it names are there."""
    for name in [name for name in os.environ if name.startswith("PUSHLANE_")]:
        monkeypatch.delenv(name)
    shown = list(blocks("ini"))
    assert shown
    (tmp_path / "token").write_text("made-up")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHLANE_REDIS_URL", "redis://localhost")
    for block in shown:
        for name, _, value in (line.partition("=") for line in block.text.splitlines()):
            monkeypatch.setenv(name, str(tmp_path / "token") if name.endswith("_FILE") else value)
        load_settings()
    named = {name.split("__")[1].lower() for name in os.environ if name.startswith("PUSHLANE_CHANNELS__")}
    assert set(load_settings().channels) == named
    load_callback_settings()
