"""The plots of docs/performance.md: ``python -m benchmarks.plots FIGURES FOLDER``, in an environment of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    Series = Mapping[str, Mapping[str, float]]

COLOURS: Final = {
    "Pushlane": "#1f6feb",
    "Celery": "#d1862c",
    "the bare loop": "#6e7781",
    "ideal": "#b0b8c0",
}


def draw(series: Series, folder: Path) -> None:
    """One file a plot; those without figures are left out."""
    # The same figures give the same file; text stays text.
    mpl.rcParams.update({"svg.hashsalt": "pushlane", "svg.fonttype": "none", "font.size": 9})
    _lines(series, "rooms", "rooms of the backlog", "messages a second", folder, log=True)
    _lines(series, "workers", "workers, 16 pushes in flight each, 100 ms", "pushes a second", folder)
    _lines(series, "in flight", "pushes in flight, 100 ms", "pushes a second", folder)
    _delays(_of(series, "delay"), folder)
    _costs(_of(series, "redis"), folder)


def _of(series: Series, plot: str) -> dict[str, Mapping[str, float]]:
    return {name.partition("/")[2]: points for name, points in series.items() if name.startswith(f"{plot}/")}


def _lines(series: Series, plot: str, across: str, up: str, folder: Path, *, log: bool = False) -> None:
    if not (lines := _of(series, plot)):
        return
    figure, axes = _figure(across, up)
    for name, points in lines.items():
        pairs = sorted((float(at), value) for at, value in points.items())
        style = "--" if name == "ideal" else "o-"
        axes.plot([at for at, _ in pairs], [value for _, value in pairs], style, label=name, color=COLOURS[name])
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    _save(figure, axes, folder / f"{plot.replace(' ', '-')}.svg")


def _delays(delays: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    if not delays:
        return
    figure, axes = _figure("", "ms from send to arrival")
    for offset, name in ((-0.2, "Pushlane"), (0.2, "Celery")):
        heights = [delays["p50"][name], delays["p99"][name]]
        axes.bar([place + offset for place in range(2)], heights, 0.38, label=name, color=COLOURS[name])
    axes.set_xticks(range(2), ["p50", "p99"])
    _save(figure, axes, folder / "latency.svg")


def _costs(costs: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    if not costs:
        return
    figure, axes = _figure("", "Redis's CPU, µs a message")
    where = list(costs["enqueue"])
    enqueue, drain = ([costs[step][each] for each in where] for step in ("enqueue", "drain"))
    axes.bar(range(len(where)), enqueue, 0.6, label="enqueue", color="#8250df")
    axes.bar(range(len(where)), drain, 0.6, bottom=enqueue, label="claim and settle", color="#1f6feb")
    axes.set_xticks(range(len(where)), [each.replace(" in ", "\nin ") for each in where])
    _save(figure, axes, folder / "redis.svg")


def _figure(across: str, up: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", alpha=0.3)
    return figure, axes


def _save(figure: Figure, axes: Any, file: Path) -> None:  # noqa: ANN401 # matplotlib's, which is not installed here
    axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    figures, target = map(Path, sys.argv[1:])
    draw(json.loads(figures.read_text(encoding="utf-8"))["series"], target)
