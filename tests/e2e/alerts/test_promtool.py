"""The rules and the scrape example as Prometheus's own tool reads them."""

import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml
from support.monitoring_files import RULES, SCRAPE, alerts, panel_expressions
from support.programs import program

pytestmark = pytest.mark.programs

CASES: Final = Path(__file__).parent / "rules_test.yaml"


def promtool(*words: str | Path) -> str:
    """What it prints, once it has found nothing wrong."""
    done = subprocess.run([program("promtool"), *words], capture_output=True, text=True, check=False, cwd=CASES.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_valid() -> None:
    """All of them, and nobody has named two alike."""
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "--lint-fatal", RULES)


def test_the_scrape_example_is_valid() -> None:
    """But for the token's file, which only the operator has."""
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", SCRAPE)


def test_the_scrape_example_for_pods_is_valid(tmp_path: Path) -> None:
    """But for the discovery of pods, which Debian's build leaves out."""
    example = yaml.safe_load(SCRAPE.with_name("kubernetes.yaml").read_text())
    assert example["scrape_configs"][0].pop("kubernetes_sd_configs")
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(example))
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", file)


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    """On made-up numbers; each case lists all alerts that fire, which may be none."""
    assert "SUCCESS" in promtool("test", "rules", CASES)
    cases = [check for case in yaml.safe_load(CASES.read_text())["tests"] for check in case["promql_expr_test"]]
    fired = [sample["labels"] for check in cases for sample in check.get("exp_samples", [])]
    assert {name for name in alerts() if any(f'"{name}"' in labels for labels in fired)} == set(alerts())
    assert all(check["expr"] == 'ALERTS{alertstate="firing"}' for check in cases)


def test_every_query_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    """With what Grafana puts in for its variables."""
    queries = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "1m").replace("$channel", ".*")}
        for number, (_, expression) in enumerate(panel_expressions())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", "--lint-fatal", file)
