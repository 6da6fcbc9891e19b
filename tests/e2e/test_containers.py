"""``make containers`` where there is no Docker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import environment

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/nowhere", "there is no docker on the PATH"),
        (None, "Cannot connect to the Docker daemon"),
    ],
)
def test_it_says_in_a_line_that_there_is_no_docker(tmp_path: Path, path: str | None, problem: str) -> None:
    """Neither the program, nor a daemon that answers it."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "Cannot connect to the Docker daemon" >&2\nexit 1\n')
    docker.chmod(0o755)
    env = environment(PYTHONPATH=str(TESTS), PATH=path or f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    words = [sys.executable, "-m", "containers"]
    seen = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert (seen.returncode, seen.stdout) == (2, "")
    assert seen.stderr == f"containers: this needs Docker: {problem}\n"
