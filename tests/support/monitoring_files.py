"""The files in ``deploy/prometheus`` and ``deploy/grafana``, and the metrics that their expressions name."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from support.documentation import ROOT, read

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: Final = ROOT / "deploy" / "prometheus" / "rules.yaml"
SCRAPE: Final = ROOT / "deploy" / "prometheus" / "prometheus.yaml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "pushlane.json"
_SELECTOR: Final = re.compile(r"\b(pushlane_\w+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING: Final = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")


class Selected(NamedTuple):
    """A metric that an expression selects, and the labels by which it does."""

    metric: str
    labels: frozenset[str]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    """Each rule by the name of its alert, in the order of the file."""
    (group,) = yaml.safe_load(read(RULES))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@cache
def dashboard() -> dict[str, Any]:
    """The dashboard."""
    document: dict[str, Any] = json.loads(read(DASHBOARD))
    return document


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, without its rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def panel_expressions() -> Iterator[tuple[str, str]]:
    """Each query of a panel, with the panel's title."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def selected(expression: str) -> list[Selected]:
    """The metrics of ours that it selects."""
    return [
        Selected(metric, frozenset(_MATCHER.findall(matchers))) for metric, matchers in _SELECTOR.findall(expression)
    ]


def grouped(expression: str) -> set[str]:
    """The labels that it groups or matches by."""
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}
