"""The alerts, the scrape example and the dashboard against the exported metrics, the runbook and each other."""

import itertools
import re
from typing import Final

import pytest
import yaml
from support.documentation import ROOT, anchors, page, read
from support.monitoring_files import (
    RULES,
    SCRAPE,
    alerts,
    dashboard,
    grouped,
    panel_expressions,
    panels,
    selected,
)

from pushlane.metrics.exposition import Family
from pushlane.metrics.families import SpoolSize, families
from pushlane.metrics.reading import Fleet

ALERTS: Final = list(alerts())
EXPRESSIONS: Final = [*(rule["expr"] for rule in alerts().values()), *(query for _, query in panel_expressions())]
EXPORTED: Final = {family.name: family for family in families(Fleet(), SpoolSize(0, 0))}
OF_TARGETS: Final = {"instance", "job", "le"}
"""Labels that Prometheus gives, and that of a histogram's buckets."""
COLUMNS: Final = 24
KINDS: Final = {"heatmap", "stat", "state-timeline", "timeseries"}


def exported(metric: str) -> Family:
    """The family of a metric, which may be one of a histogram's three."""
    if metric in EXPORTED:
        assert EXPORTED[metric].kind != "histogram", metric
        return EXPORTED[metric]
    name, _, part = metric.rpartition("_")
    assert part in {"bucket", "sum", "count"}, metric
    assert EXPORTED[name].kind == "histogram", metric
    return EXPORTED[name]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_only_for_what_is_exported(expression: str) -> None:
    """Every metric exists, with the labels by which it is selected and grouped; only counters are rated."""
    labels = OF_TARGETS.union(*(exported(one.metric).labels for one in selected(expression)))
    assert grouped(expression) <= labels
    for one in selected(expression):
        assert one.labels <= set(exported(one.metric).labels), one.metric
    for metric in re.findall(r"(?:rate|increase)\((\w+)", expression):
        assert exported(metric).kind != "gauge", metric


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_means_and_where_the_remedy_is(name: str) -> None:
    """Whoever is woken by it has the channel or process in its summary, and the runbook's section."""
    annotations = alerts()[name]["annotations"]
    assert set(annotations) == {"summary", "description", "runbook"}
    assert alerts()[name]["labels"].keys() == {"severity"}
    assert alerts()[name]["labels"]["severity"] in {"critical", "warning", "info"}
    path, _, anchor = annotations["runbook"].partition("#")
    assert (path, anchor) == ("docs/runbook.md", name.lower())
    assert anchor in anchors(ROOT / path)
    for label in grouped(alerts()[name]["expr"]) & {"channel", "instance"}:
        assert f"$labels.{label}" in annotations["summary"]


def test_the_runbook_has_the_alerts_and_no_others() -> None:
    """In the order of the rules."""
    assert re.findall(r"^### (Pushlane\w+)$", page("runbook"), re.MULTILINE) == ALERTS


def test_each_wait_of_an_alert_has_its_reason() -> None:
    """Behind its `for`; an alert without one says why before its expression."""
    text = read(RULES)
    assert re.findall(r"^ +for: \w+(.*)$", text, re.MULTILINE)
    assert not [line for line in re.findall(r"^ +for: \w+(.*)$", text, re.MULTILINE) if not line.startswith(" # ")]
    for name, rule in alerts().items():
        before = text.partition(f"- alert: {name}\n")[2].partition("annotations:")[0]
        assert "for" in rule or "No `for`: " in before, name


def test_the_scrape_example_names_jobs_that_the_alerts_know() -> None:
    """And reads the rules beside it."""
    example = yaml.safe_load(read(SCRAPE))
    jobs = [job["job_name"] for job in example["scrape_configs"]]
    patterns = re.findall(r'job=~"([^"]+)"', alerts()["PushlaneTargetsDown"]["expr"])
    assert patterns
    for pattern, job in itertools.product(patterns, jobs):
        assert re.fullmatch(pattern, job), job
    assert [SCRAPE.parent / name for name in example["rule_files"]] == [RULES]
    assert all("authorization" in job for job in example["scrape_configs"])


def test_every_panel_of_the_dashboard_can_be_drawn() -> None:
    """Of a known kind, with a title of its own, an explanation, and a place that it shares with no other."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= COLUMNS
        cells = set(itertools.product(range(place["x"], place["x"] + place["w"]), _rows(place)))
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["type"] in KINDS
        assert panel["description"].endswith(".")
        assert panel["targets"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for name in ("id", "title"):
        assert len({panel[name] for panel in panels()}) == len(panels())


def _rows(place: dict[str, int]) -> range:
    return range(place["y"], place["y"] + place["h"])


def test_the_dashboard_asks_the_chosen_prometheus_about_the_chosen_channels() -> None:
    """It imports into any Grafana, as nothing in it names one server."""
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    names = [variable["name"] for variable in dashboard()["templating"]["list"]]
    assert names == ["datasource", "channel"]
    for panel in panels():
        for one in itertools.chain.from_iterable(selected(target["expr"]) for target in panel["targets"]):
            assert ("channel" in one.labels) == ("channel" in exported(one.metric).labels), panel["title"]
        assert all(one["datasource"] == chosen for one in (panel, *panel["targets"])), panel["title"]
    assert dashboard()["schemaVersion"] >= 36
    assert "id" not in dashboard()


def test_nothing_adds_up_what_every_target_shows() -> None:
    """A fleet of three shows each of its numbers three times."""
    own = {"pushlane_redis_up", "pushlane_build_info"}
    for expression in EXPRESSIONS:
        for added in re.findall(r"\b(?:sum|count|avg)\b(?: by \([^)]*\))? ?\((.*)", expression):
            if not own & {one.metric for one in selected(added)}:
                assert added.startswith("max by ("), expression
