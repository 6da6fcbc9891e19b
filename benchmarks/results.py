"""What a run leaves behind: a file with all figures, and the plots drawn from it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks.peer_environments import command
from benchmarks.places import FIGURES, PLOTS, RESULTS, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(found: Mapping[str, Any], *, keep: bool) -> None:
    """Writes ``results/last.json`` and its plots; with ``keep`` also the figures and plots of the documentation."""
    RESULTS.mkdir(exist_ok=True)
    _write(found, RESULTS / "last.json", RESULTS)
    if keep:
        PLOTS.mkdir(exist_ok=True)
        _write(_merged(found), FIGURES, PLOTS)


def _merged(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what an earlier run has kept of other cases."""
    if not FIGURES.exists():
        return found
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    cases = {row["case"] for row in found["rows"]}
    rows = [row for row in kept["rows"] if row["case"] not in cases]
    series = {**kept["series"]}
    for plot, points in found["series"].items():
        series[plot] = {**series.get(plot, {}), **points}
    return {"rows": sorted([*rows, *found["rows"]], key=lambda row: row["case"]), "series": series}


def _write(found: Mapping[str, Any], file: Path, plots: Path) -> None:
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    words = [command("plots", "python"), "-m", "benchmarks.plots", str(file), str(plots)]
    subprocess.run(words, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
