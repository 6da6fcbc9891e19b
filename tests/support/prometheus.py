"""A real Prometheus with our rules, which it evaluates twice a second and with shorter waits."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import yaml
from support.monitoring_files import RULES
from support.ports import free_port
from support.processes import environment, running
from support.programs import program
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FOR_S: Final = 1
SHORTER: Final = {"[10m]": "[4s]", "[5m]": "[4s]", "[2m]": "[4s]", "> 300": "> 3", "> 3600": "> 3"}
"""What stands in an expression for what nobody can wait for in a test."""


def quick_rules() -> dict[str, Any]:
    """The rules, with a second for each `for` and shorter waits in their expressions."""
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    unused = set(SHORTER)
    for rule in rules["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = f"{FOR_S}s"
        for long, short in SHORTER.items():
            if rule["expr"] != (shorter := rule["expr"].replace(long, short)):
                rule["expr"] = shorter
                unused.discard(long)
    assert not unused, f"no rule has {unused}"
    return rules


@dataclass
class Prometheus:
    """One that runs."""

    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        answer = httpx.post(f"{self.url}/api/v1/query", data={"query": query}, timeout=10).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self, name: str, **labels: str) -> dict[str, Any] | None:
        """The alert of this name with these labels, if it fires."""
        wanted = {"alertname": name, **labels}.items()
        alerts = httpx.get(f"{self.url}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        return next((one for one in alerts if one["state"] == "firing" and wanted <= one["labels"].items()), None)


@contextlib.contextmanager
def prometheus(folder: Path, jobs: Mapping[str, Sequence[str]], token: Path) -> Iterator[Prometheus]:
    """Scrapes these jobs' targets each second, with the token in this file; it answers when this gives it."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(quick_rules()))
    config = folder / "prometheus.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "500ms"},
                "rule_files": ["rules.yaml"],
                "scrape_configs": [
                    {
                        "job_name": name,
                        "authorization": {"credentials_file": str(token)},
                        "static_configs": [{"targets": list(targets)}],
                    }
                    for name, targets in jobs.items()
                ],
            }
        )
    )
    address, log = f"127.0.0.1:{free_port()}", folder / "prometheus.log"
    words = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with running(
        [*words, f"--web.listen-address={address}"], env=environment(), cwd=folder, log=log, patient=False
    ) as process:
        started = Prometheus(f"http://{address}")

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{started.url}/-/ready").is_success
            return False

        wait_until(ready, "Prometheus to answer")
        yield started
