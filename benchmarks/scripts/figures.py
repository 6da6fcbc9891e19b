"""From rounds to figures: medians and ratios, the table, and the file of the last ones."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

FILE: Final = Path(__file__).resolve().parent.parent / "script_figures.json"
WORSE: Final = 1.25
HERE: Final = "here"
SUMS: Final = {
    "both, 1,000 and 16": ("enqueue, 1,000 a call", "drain, 16 batches a turn"),
    "both, a room a message": ("enqueue, a room a message", "drain, a room a message"),
}
"""Ways of a message from end to end."""

_Figures = dict[str, float]


@dataclass
class Round:
    """What one round has measured: each tree's works, and the CPU time of a SET in us."""

    trees: dict[str, dict[str, _Figures]] = field(default_factory=dict)
    sets: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """One line of the table. The ratio is the median of the rounds' own ratios."""

    name: str
    before_us: float
    us: float
    ratio: float
    cost: float
    """In SETs."""
    calls: float
    script_us: float
    longest_before_ms: float
    longest_ms: float


@dataclass(frozen=True)
class Results:
    """All works on one server."""

    set_us: float
    works: Sequence[Work]


def medians(rounds: Sequence[Round], against: str) -> Results:
    """The rounds' medians."""
    set_us = median(value for found in rounds for value in found.sets)
    for found in rounds:
        for works in found.trees.values():
            works.update(_sums(works))
    return Results(set_us, [_work(rounds, against, name, set_us) for name in rounds[0].trees[HERE]])


def _sums(works: dict[str, _Figures]) -> Iterator[tuple[str, _Figures]]:
    for name, parts in SUMS.items():
        if all(part in works for part in parts):
            yield name, {"us": sum(works[part]["us"] for part in parts)}


def _work(rounds: Sequence[Round], against: str, name: str, set_us: float) -> Work:
    def middle(figure: Callable[[Round], float]) -> float:
        return median(map(figure, rounds))

    def of(tree: str, what: str) -> float:
        return middle(lambda found: found.trees[tree][name].get(what, 0))

    return Work(
        name=name,
        before_us=of(against, "us"),
        us=of(HERE, "us"),
        ratio=middle(lambda found: found.trees[HERE][name]["us"] / found.trees[against][name]["us"]),
        cost=of(HERE, "us") / set_us,
        calls=of(HERE, "calls"),
        script_us=of(HERE, "script_us"),
        longest_before_ms=of(against, "longest_us") / 1000,
        longest_ms=of(HERE, "longest_us") / 1000,
    )


def show(server: str, against: str, results: Results) -> None:
    """Prints the table."""
    print(f"{server}: a SET takes {results.set_us:.2f} us of the server's CPU time")
    heads = (f"{against} us", "here us", "ratio", "in SETs", "us/script", "calls", "us/call", "longest ms")
    print(f"{'a message, or an empty turn':28}" + "".join(f"{head:>12}" for head in heads[:-1]) + f"{heads[-1]:>16}")
    for work in results.works:
        cells = [f"{work.before_us:.1f}", f"{work.us:.1f}", f"{work.ratio:.2f}", f"{work.cost:.0f}"]
        if work.calls:
            cells += [f"{work.script_us:.0f}", f"{work.calls:.1f}", f"{work.script_us / work.calls:.1f}"]
            longest = " > ".join(f"{ms:.1f}" if ms >= 1 else "<1" for ms in (work.longest_before_ms, work.longest_ms))
        else:
            cells, longest = [*cells, "", "", ""], ""
        print(f"{work.name:28}" + "".join(f"{cell:>12}" for cell in cells) + f"{longest:>16}")
    print()


def write(server: str, results: Results) -> None:
    """Puts the figures of this server into the file, beside those of works that were not measured."""
    kept = _read()
    kept[server] = kept.get(server, {}) | {work.name: _comparable(work, results.set_us) for work in results.works}
    FILE.write_text(json.dumps(kept, indent=2) + "\n")


def worse(server: str, results: Results) -> list[str]:
    """Which figures are over a quarter worse than those in the file."""
    kept = _read().get(server, {})
    return [
        f"{server}: {work.name}: {what} was {kept[work.name][what]}, is {now}"
        for work in results.works
        if work.name in kept
        for what, now in _comparable(work, results.set_us).items()
        if now > WORSE * kept[work.name].get(what, math.inf)
    ]


def _comparable(work: Work, set_us: float) -> _Figures:
    """What machines can be compared by: times in SETs, and the commands that a script calls."""
    figures = {"cost_sets": round(work.cost, 1)}
    if work.calls:
        figures["calls"] = round(work.calls, 1)
    if work.longest_ms:
        figures["longest_sets"] = round(1000 * work.longest_ms / set_us)
    return figures


def _read() -> Any:  # noqa: ANN401 # JSON
    return json.loads(FILE.read_text()) if FILE.exists() else {}
