"""``make bench``: runs the cases, prints the table, and writes and draws what it has measured."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import results
from benchmarks.bench import bench
from benchmarks.cases import CASES
from benchmarks.machine import describe
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
    found = {"rows": [{**row.document(), "on": machine} for row in rows], "series": shared.series}
    results.write(found, keep=arguments.keep)
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
    parser.add_argument("--keep", action="store_true", help="also write benchmarks/figures.json and docs/plots")
    return parser


if __name__ == "__main__":
    sys.exit(main())
