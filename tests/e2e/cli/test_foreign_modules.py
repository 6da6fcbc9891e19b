"""A working directory that others can write to: what lies there under a module's name is never run."""

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from support.http_api import KEYS
from support.processes import environment, installed, running
from support.stack import channel_settings
from support.waiting import wait_until

_TRAP = "open(__file__ + '.ran', 'w').close()\nraise ImportError(__file__)\n"


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder with a module for every name that Python's own and the installed ones have."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in {*sys.stdlib_module_names, *packages_distributions()}:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(_TRAP)
    return folder


@pytest.mark.parametrize(
    ("arguments", "sign"),
    [(("worker", "-c", "1"), " ready."), (("callback", "--port", "0"), "callback.listening")],
    ids=("worker", "callback"),
)
def test_no_module_of_the_working_directory_is_run(
    arguments: tuple[str, ...], sign: str, trapped: Path, tmp_path: Path, redis_url: str
) -> None:
    """Celery looks there first for what it imports with an app; by then all has been imported."""
    log = tmp_path / "log"
    env = environment(PUSHLANE_REDIS_URL=redis_url, **channel_settings("http://127.0.0.1:9"), **KEYS)
    with running([installed("pushlane"), *arguments], env=env, cwd=trapped, log=log) as process:
        wait_until(lambda: sign in log.read_text() or process.poll() is not None, f"{sign} in the log", 30)
    assert [path.name for path in trapped.glob("*.ran")] == []
    assert sign in log.read_text()
