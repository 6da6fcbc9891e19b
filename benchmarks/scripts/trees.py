"""Source trees, each driven by a process of its own, and the servers that they are measured on."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Final, Self

from pushlane_worker.embedded import HOST

ROOT: Final = Path(__file__).resolve().parents[2]
EXPORTS: Final = Path(__file__).parent / ".trees"


def export(commit: str) -> Path:
    """The commit's files in a folder that git ignores."""
    full = _git("rev-parse", "--verify", f"{commit}^{{commit}}").decode().strip()
    folder = EXPORTS / full
    if not folder.exists():
        part = EXPORTS / f"{full}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", full))) as archive:
            archive.extractall(part, filter="data")
        part.rename(folder)
    return folder


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


class Tree:
    """A process that drives one tree's scripts, as a context manager."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        path = os.pathsep.join(str(folder / part) for part in ("producer", "worker", "tests"))
        self._process: Any = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "drive.py")],
            env={**os.environ, "PYTHONPATH": path},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, url: str, name: str, messages: int) -> dict[str, dict[str, float]]:
        """The figures of one case."""
        self._process.stdin.write(json.dumps({"url": url, "name": name, "messages": messages}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"bench-scripts: {self.name} has failed at {name}")
        return dict(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()


SETS: Final = 50_000


def set_us(port: int) -> float:
    """The yardstick: the server's CPU time for one SET of 100 bytes, in pipelines of 1,000."""
    words = [
        (b"*3\r\n$3\r\nSET\r\n$8\r\nset:%04d\r\n$100\r\n" % number) + b"x" * 100 + b"\r\n" for number in range(1000)
    ]
    pipeline = b"".join(words)
    with socket.create_connection((HOST, port)) as connection:
        before = _cpu_us(connection)
        for _ in range(SETS // 1000):
            connection.sendall(pipeline)
            left = 5 * 1000
            while left:
                left -= len(connection.recv(left))
        return (_cpu_us(connection) - before) / SETS


def _cpu_us(connection: socket.socket) -> float:
    connection.sendall(b"INFO cpu\r\n")
    answer = connection.recv(4096).decode()
    fields = dict(line.split(":") for line in answer.split("\r\n") if ":" in line)
    return (float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"])) * 1e6
