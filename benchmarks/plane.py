"""The plane of identification against utility, of the rows of one or several benches.

Usage: python -m benchmarks.plane BENCH... --figure benchmarks/results/plane.svg

Each BENCH is a folder that `reid-audit bench` wrote into, finished or not. Of equal settings and
attackers the row of the later folder counts. Prints the marks as Markdown and draws them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from reid_audit.audit.bench import figures, plane
from reid_audit.audit.bench.row import Row
from reid_audit.audit.bench.run import ROWS


def rows(folders: Sequence[Path]) -> list[Row]:
    """Every row by setting and attacker."""
    known: dict[tuple[object, ...], Row] = {}
    for folder in folders:
        for path in sorted((folder / ROWS).glob("*.json")):
            row = Row.model_validate_json(path.read_text(encoding="utf-8"))
            known[row.attacker] = row
    return list(known.values())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", type=Path, nargs="+")
    parser.add_argument("--figure", type=Path, help="SVG to write.")
    given = parser.parse_args(arguments)
    marks = plane.marks(rows(given.benches))
    heads = [head for head in plane.HEADINGS if head != "recogniser"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for cells in plane.table(marks):
        told = [c for h, c in zip(plane.HEADINGS, cells, strict=True) if h != "recogniser"]
        print(f"| {' | '.join(told)} |")
    if given.figure is not None:
        given.figure.write_text(figures.plane(marks).svg, encoding="utf-8")


if __name__ == "__main__":
    main()
