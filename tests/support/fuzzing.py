"""schemathesis against a running callback, as a process of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from support.callback import APP, TOKEN
from support.processes import environment, installed
from support.webhook import TOKEN as WEBHOOK_TOKEN

if TYPE_CHECKING:
    from support.callback import Callback

HERE = Path(__file__).parent
TIMEOUT_S = 540


@dataclass(frozen=True)
class Fuzzed:
    """How a run ended."""

    code: int
    out: str


def fuzz(running: Callback, api_key: str, folder: Path, *words: str) -> Fuzzed:
    """Runs schemathesis on the whole document that the callback gives, with these words for ``st run``."""
    document = folder / "openapi.json"
    answer = httpx.get(f"{running.url}/openapi.json", headers={"Authorization": f"Bearer {api_key}"})
    document.write_text(answer.text, encoding="utf-8")
    command = [installed("st"), "--config-file", str(HERE / "schemathesis.toml"), "run", str(document)]
    env = environment(
        PYTHONPATH=str(HERE.parent),
        SCHEMATHESIS_HOOKS="support.openapi_hooks",
        FUZZED_API_KEY=api_key,
        FUZZED_APP=APP,
        FUZZED_TOKEN=TOKEN,
        FUZZED_WEBHOOK_TOKEN=WEBHOOK_TOKEN,
        NO_COLOR="1",
    )
    process = subprocess.run(
        [*command, "--url", running.url, "--continue-on-failure", *words],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Fuzzed(process.returncode, process.stdout + process.stderr)
