"""``make bench``: runs the cases, prints the table, writes what it has measured to ``results/last.json``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.bench import bench
from benchmarks.cases import CASES
from benchmarks.machine import describe
from benchmarks.places import FIGURES, RESULTS
from benchmarks.redis_server import BUILT_IN
from benchmarks.table import markdown

if TYPE_CHECKING:
    from benchmarks.table import Row


def main() -> int:
    """Runs what is asked for."""
    arguments = _parser().parse_args()
    unknown = [case for case in arguments.cases if case.upper() not in CASES]
    if unknown:
        _parser().error(f"there is no case {', '.join(unknown)}")
    chosen = [case.upper() for case in arguments.cases] or list(CASES)
    rows: list[Row] = []
    with bench(arguments.server, arguments.rounds, full=arguments.full) as shared:
        for letter in chosen:
            case, started = CASES[letter], time.monotonic()
            print(f"{letter}: {case.title}", file=sys.stderr)
            rows += case.run(shared)
            print(f"{letter}: took {time.monotonic() - started:.0f} s", file=sys.stderr)
        machine = describe(arguments.server)
    print(markdown(rows))
    found = {"machine": machine, "rows": [row.document() for row in rows], "series": shared.series}
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "last.json").write_text(text, encoding="utf-8")
    if arguments.keep:
        FIGURES.write_text(text, encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    cases = "\n".join(f"  {letter}  {case.title}" for letter, case in CASES.items())
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description="Measures Pushlane beside what a user would pick instead.",
        epilog=f"cases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="letters of the cases to run; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs; 5 by default")
    parser.add_argument("--server", default=BUILT_IN, help=f"{BUILT_IN} (default), or a program such as redis-server")
    parser.add_argument("--full", action="store_true", help="the sizes of the table also where a smaller one is usual")
    parser.add_argument("--keep", action="store_true", help="also write the figures to benchmarks/figures.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
